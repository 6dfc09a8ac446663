import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { identityInfo } from '../../pds/api.ts';
import { LOGINS } from './login.ts';

/** Absent: what is known stays. Null: the member has none any more. */
const name = z.optional(z.nullable(z.string().check(z.maxLength(255))));

export const internalLogin = contract({
  operationId: 'internalLogin',
  summary:
    'Bring a member whom your own backend has logged in; answers with his identity and a one-use code for POST /api/auth/exchange',
  method: 'POST',
  path: '/api/internal/logins',
  access: 'backend',
  host: 'app',
  limits: LOGINS,
  body: z.strictObject({
    telegramId: z.int().check(z.positive()),
    username: name,
    first_name: name,
    last_name: name,
    photo_url: z.optional(z.nullable(z.string().check(z.maxLength(2048)))),
  }),
  data: z.object({ pds: identityInfo, code: z.string(), expires_at: z.iso.datetime() }),
  errors: ['LOGIN_METHOD_OFF'],
});
