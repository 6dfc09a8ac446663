import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { LOGINS } from './login.ts';

/** With the code beside it in one query, below the 2,048 bytes that the WAF in front lets through. */
const LONGEST_RETURN = 1_000;

export const startOidcLogin = contract({
  operationId: 'startOidcLogin',
  summary:
    "Log in with Telegram's OpenID Connect: leads the browser there, with the cookie `__Host-login`, by which it is known when it comes back within 10 minutes",
  method: 'GET',
  path: '/api/auth/telegram/start',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  query: z.strictObject({ return_to: z._default(z.string().check(z.maxLength(LONGEST_RETURN)), '/') }),
  redirect: 302,
  leadsTo:
    'https://oauth.telegram.org/auth?response_type=code&client_id=…&redirect_uri=…&scope=openid+profile&state=…&nonce=…&code_challenge=…&code_challenge_method=S256',
  loginCookie: 'set',
  errors: ['LOGIN_METHOD_OFF'],
});

export const finishOidcLogin = contract({
  operationId: 'finishOidcLogin',
  summary:
    'Where Telegram sends the browser back to: logs in, once, and leads to `return_to`; if that fails, with `login_error` in its query: LOGIN_STATE_INVALID, LOGIN_REFUSED, LOGIN_EXPIRED, LOGIN_FROM_THE_FUTURE, LOGIN_REPLAYED, RATE_LIMITED or UNAVAILABLE',
  method: 'GET',
  path: '/api/auth/telegram/callback',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  // An issuer may add parameters of its own (RFC 6749, 4.1.2): not strict.
  query: z.object({
    state: z.string().check(z.maxLength(200)),
    code: z.optional(z.string().check(z.maxLength(2_048))),
    error: z.optional(z.string().check(z.maxLength(200))),
  }),
  redirect: 302,
  leadsTo: '/welcome',
  setsSession: true,
  loginCookie: 'read',
  errors: ['LOGIN_METHOD_OFF'],
});
