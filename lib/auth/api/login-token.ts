import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { LOGINS } from './login.ts';
import { session } from './session.ts';

// A person who has lost half of a link is told so on the page, in words.
const params = z.strictObject({ token: z.string().check(z.maxLength(500)) });

export const showLoginLink = contract({
  operationId: 'showLoginLink',
  summary: "The page behind the bot's login link: whose account it is, and a button that logs in",
  method: 'GET',
  path: '/api/auth/link/{token}',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  params,
  bare: { contentType: 'text/html; charset=utf-8', example: '<!doctype html>…' },
});

export const useLoginLink = contract({
  operationId: 'useLoginLink',
  summary:
    'Log in with a login link, once and within 10 minutes; sets the session cookie and leads to the app, or back to its page if the link is no good',
  method: 'POST',
  path: '/api/auth/link/{token}',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  params,
  redirect: 303,
  setsSession: true,
});

export const exchangeCode = contract({
  operationId: 'exchangeCode',
  summary: 'Log in with the code that a backend got, once and within 2 minutes; sets the session cookie',
  method: 'POST',
  path: '/api/auth/exchange',
  access: 'public',
  host: 'app',
  limits: LOGINS,
  body: z.strictObject({
    code: z.string().check(z.regex(/^[\w-]{43}$/, 'must be 43 of A-Z, a-z, 0-9, - and _')),
  }),
  data: session,
  setsSession: true,
  errors: ['LOGIN_TOKEN_INVALID'],
});
