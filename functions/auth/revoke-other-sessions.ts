import { revokeOtherSessions as contract } from '../../lib/auth/api.ts';
import { revokeOtherSessions } from '../../lib/auth/session/sessions.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const { sql, ...api } = await openApi();

export const handler = route(contract, api, async ({ member }) => ({
  revoked: await revokeOtherSessions(sql, member),
}));
