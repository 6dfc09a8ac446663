import { getSession } from '../../lib/auth/api.ts';
import { readSession } from '../../lib/auth/session/show-session.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;

export const handler = route(getSession, api, ({ me }) => readSession({ sql, provisioningEnabled }, me));
