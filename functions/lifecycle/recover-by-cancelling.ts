import { openPublicApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { recoverByCancelling as contract } from '../../lib/lifecycle/api.ts';
import { recoverByCancelling } from '../../lib/lifecycle/hand-over/recover.ts';

const { settings, sql, ...api } = await openPublicApi(['PDS_PLC_URL']);
const directory = { fetch: globalThis.fetch, plcUrl: settings.PDS_PLC_URL };
const deps = { sql, directory, now: () => new Date() };

export const handler = route(contract, api, ({ body }) => recoverByCancelling(deps, body));
