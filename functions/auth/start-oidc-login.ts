import { startOidcLogin } from '../../lib/auth/api.ts';
import { authorizationUrl } from '../../lib/auth/oidc/issuer.ts';
import { newLoginState, storeLoginState } from '../../lib/auth/oidc/login-state.ts';
import { OIDC_SETTINGS, openTelegramIssuer } from '../../lib/auth/oidc/open-issuer.ts';
import { readReturnTo } from '../../lib/auth/oidc/return-to.ts';
import { orSendBack } from '../../lib/auth/oidc/send-back.ts';
import { loginCookie, readLoginCookie } from '../../lib/auth/session/session-cookie.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { apiError } from '../../lib/http/error-codes.ts';
import { route } from '../../lib/http/route.ts';

const { settings, hosts, sessions, ...api } = await openApi(OIDC_SETTINGS);
const issuer = openTelegramIssuer(settings);

export const handler = route(startOidcLogin, { hosts, ...api }, ({ query, cookies, setCookie, log }) => {
  if (issuer === undefined) throw apiError('LOGIN_METHOD_OFF');
  const returnTo = readReturnTo(hosts, query.return_to);
  return orSendBack({ hosts, log }, returnTo, async () => {
    const login = newLoginState(readLoginCookie(cookies));
    const location = await authorizationUrl(issuer, login);
    await storeLoginState(sessions, login, returnTo);
    setCookie(loginCookie(login.browser));
    return { location };
  });
});
