import { openPublicApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { atprotoDid } from '../../lib/identity/api.ts';
import { findIdentityByHost } from '../../lib/identity/hostnames.ts';
import { serveAtprotoDid } from '../../lib/identity/serve.ts';

const { sql, ...api } = await openPublicApi();

export const handler = route(atprotoDid, api, async ({ host }) =>
  serveAtprotoDid(await findIdentityByHost(sql, host), new Date()),
);
