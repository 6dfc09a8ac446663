import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { getRecoveryKey } from '../../lib/lifecycle/api.ts';
import { showRecoveryKey } from '../../lib/lifecycle/recovery-key/show.ts';

const { settings, sql, ...api } = await openApi(['PDS_PLC_URL']);
const directory = { fetch: globalThis.fetch, plcUrl: settings.PDS_PLC_URL };
const deps = { sql, directory, now: () => new Date() };

export const handler = route(getRecoveryKey, api, ({ me }) => showRecoveryKey(deps, me));
