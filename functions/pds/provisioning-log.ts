import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { provisioningLog } from '../../lib/pds/api.ts';
import { readLogPage } from '../../lib/pds/log.ts';

const api = await openApi();

export const handler = route(provisioningLog, api, ({ me, query }) => readLogPage(me, query));
