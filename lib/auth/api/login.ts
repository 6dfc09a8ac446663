import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { session } from './session.ts';

const name = z.string().check(z.maxLength(255));

/** The payload of Telegram's login widget, as it arrives: https://core.telegram.org/widgets/login */
export const widgetPayload = z.strictObject({
  id: z.int().check(z.positive()),
  first_name: z.optional(name),
  last_name: z.optional(name),
  username: z.optional(name),
  photo_url: z.optional(z.string().check(z.maxLength(2048))),
  auth_date: z.int().check(z.positive()),
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 64 hex characters')),
});

/** Ten logins a second from one network: a crowd behind one address gets in, a flood stays outside. */
export const LOGINS = { address: { max: 600, windowSeconds: 60 } } as const;

export const loginWidget = contract({
  operationId: 'loginWidget',
  summary: 'Log in with the payload of the Telegram login widget; sets the session cookie',
  method: 'POST',
  path: '/api/auth/telegram/widget',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  body: widgetPayload,
  data: session,
  setsSession: true,
  errors: ['LOGIN_SIGNATURE_INVALID', 'LOGIN_EXPIRED', 'LOGIN_FROM_THE_FUTURE', 'LOGIN_REPLAYED'],
});

/** Of a Mini App's login: far above what Telegram signs, below the 8 KB that the WAF in front lets through. */
const LONGEST_INIT_DATA = 7_000;

export const loginMiniApp = contract({
  operationId: 'loginMiniApp',
  summary:
    'Log in with the init data of a Telegram Mini App, as often as it likes within the hour; answers with a bearer token in place of a cookie',
  method: 'POST',
  path: '/api/auth/telegram/miniapp',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  body: z.strictObject({ init_data: z.string().check(z.maxLength(LONGEST_INIT_DATA)) }),
  data: z.extend(session, { token: z.string() }),
  errors: ['LOGIN_SIGNATURE_INVALID', 'LOGIN_EXPIRED', 'LOGIN_FROM_THE_FUTURE'],
});
