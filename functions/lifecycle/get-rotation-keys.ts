import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { getRotationKeys } from '../../lib/lifecycle/api.ts';
import { showRotationKeys } from '../../lib/lifecycle/rotation-key/show.ts';

const { settings, sql, ...api } = await openApi(['PDS_PLC_URL']);
const directory = { fetch: globalThis.fetch, plcUrl: settings.PDS_PLC_URL };
const deps = { sql, directory, now: () => new Date() };

export const handler = route(getRotationKeys, api, ({ me }) => showRotationKeys(deps, me));
