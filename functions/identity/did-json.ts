import { openPublicApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { didJson } from '../../lib/identity/api.ts';
import { findIdentityByHost } from '../../lib/identity/hostnames.ts';
import { serveDidJson } from '../../lib/identity/serve.ts';

const { sql, ...api } = await openPublicApi();

export const handler = route(didJson, api, async ({ host }) =>
  serveDidJson(await findIdentityByHost(sql, host), new Date()),
);
