import { finishOidcLogin } from '../../lib/auth/api.ts';
import { answerLogin } from '../../lib/auth/login/answer-login.ts';
import { logIn } from '../../lib/auth/login/log-in.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { identify } from '../../lib/auth/oidc/identify.ts';
import { useLoginState } from '../../lib/auth/oidc/login-state.ts';
import { OIDC_SETTINGS, openTelegramIssuer } from '../../lib/auth/oidc/open-issuer.ts';
import { orSendBack } from '../../lib/auth/oidc/send-back.ts';
import { readLoginCookie, readSessionToken } from '../../lib/auth/session/session-cookie.ts';
import { apiError } from '../../lib/http/error-codes.ts';
import { route } from '../../lib/http/route.ts';

const { settings, hosts, members, arrivals, ...api } = await openDoor([
  ...OIDC_SETTINGS,
  'TELEGRAM_OIDC_CLIENT_SECRET',
]);
const issuer = openTelegramIssuer(settings);
const clientSecret = settings.TELEGRAM_OIDC_CLIENT_SECRET;

export const handler = route(finishOidcLogin, { hosts, ...api }, async (request) => {
  if (issuer === undefined || clientSecret === undefined) throw apiError('LOGIN_METHOD_OFF');
  const { query, cookies, userAgent, log } = request;
  const browser = readLoginCookie(cookies);
  const { returnTo, login } = await useLoginState(members, { state: query.state, browser });
  return orSendBack({ hosts, log }, returnTo, async () => {
    if (login === undefined) throw apiError('LOGIN_STATE_INVALID');
    if (query.code === undefined)
      throw apiError('LOGIN_REFUSED', { cause: new Error(`The issuer says ${query.error}`) });
    const identity = await identify(issuer, { login, code: query.code, clientSecret });
    const replaces = readSessionToken(cookies);
    await answerLogin(
      arrivals,
      request,
      await logIn(members, { ...identity, loginMethod: 'oidc', userAgent, replaces }),
    );
    return { location: returnTo };
  });
});
