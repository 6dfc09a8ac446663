import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { info } from '../../lib/pds/api.ts';
import { readInfo } from '../../lib/pds/info.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;

export const handler = route(info, api, ({ me }) => readInfo({ sql, provisioningEnabled }, me));
