import { exchangeCode } from '../../lib/auth/api.ts';
import { answerLogin } from '../../lib/auth/login/answer-login.ts';
import { logInWithToken } from '../../lib/auth/login/login-token.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { readSessionToken } from '../../lib/auth/session/session-cookie.ts';
import { route } from '../../lib/http/route.ts';

const { members, arrivals, ...api } = await openDoor();

export const handler = route(exchangeCode, api, async (request) => {
  const { body, userAgent, cookies } = request;
  const replaces = readSessionToken(cookies);
  const login = await logInWithToken(members, { token: body.code, kind: 'exchange', userAgent, replaces });
  return answerLogin(arrivals, request, login);
});
