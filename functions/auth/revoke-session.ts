import { revokeSession as contract } from '../../lib/auth/api.ts';
import { clearedSessionCookie } from '../../lib/auth/session/session-cookie.ts';
import { revokeSession } from '../../lib/auth/session/sessions.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const { sql, ...api } = await openApi();

export const handler = route(contract, api, async ({ member, presented, params, setCookie }) => {
  const { wasCurrent } = await revokeSession(sql, member, params.id);
  if (wasCurrent && presented.as === 'cookie') setCookie(clearedSessionCookie());
  return { revoked: 1 };
});
