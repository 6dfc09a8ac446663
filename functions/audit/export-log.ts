import { exportLog } from '../../lib/audit/api.ts';
import { exportOwnLog } from '../../lib/audit/export.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openApi();

export const handler = route(exportLog, api, ({ me }) => exportOwnLog(api, me));
