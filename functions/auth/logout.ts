import { logout } from '../../lib/auth/api.ts';
import { endSession } from '../../lib/auth/session/session.ts';
import { clearedSessionCookie } from '../../lib/auth/session/session-cookie.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const { sql, ...api } = await openApi();

export const handler = route(logout, api, async ({ member, presented, setCookie }) => {
  await endSession(sql, member.session_id);
  if (presented.as === 'cookie') setCookie(clearedSessionCookie());
  return { logged_out: true };
});
