import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { timestamp } from '../../http/fields.ts';

/** A letter or digit at both ends: what looks empty, or like another one, is no name. */
const NAME = /^[0-9A-Za-zÀ-ÖØ-öø-ÿ](?:[0-9A-Za-zÀ-ÖØ-öø-ÿ ._-]{0,30}[0-9A-Za-zÀ-ÖØ-öø-ÿ])?$/;

const appPassword = z.object({ name: z.string(), created_at: timestamp, privileged: z.boolean() });

/** Each of these, and a list (app-passwords/list.ts), opens a session at the PDS, which takes 300 a day of one account. */
const A_DAY = { windowSeconds: 86_400 };
const ADDRESS = { max: 600, windowSeconds: 3600 };

export const createAppPassword = contract({
  operationId: 'createAppPassword',
  summary:
    'A password for another AT Protocol app, which can be taken from it alone. It is shown this once and stored nowhere here',
  method: 'POST',
  path: '/api/pds/app-passwords',
  access: 'member',
  host: 'app',
  stepUp: { target: ['name', 'privileged'] },
  limits: { member: { max: 20, ...A_DAY }, address: ADDRESS },
  body: z.strictObject({
    name: z.string().check(z.regex(NAME, 'must be 1 to 32 letters, digits, spaces, dots, hyphens')),
    privileged: z._default(z.boolean(), false),
  }),
  data: z.extend(appPassword, { password: z.string() }),
  errors: [
    'APP_PASSWORD_EXISTS',
    'APP_PASSWORD_LIMIT',
    'APP_PASSWORD_UNCERTAIN',
    'APP_PASSWORDS_REFUSED',
    'CHANGE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
  ],
});

export const listAppPasswords = contract({
  operationId: 'listAppPasswords',
  summary: 'The names of your app passwords, newest first, those that you made elsewhere too',
  method: 'GET',
  path: '/api/pds/app-passwords',
  access: 'member',
  host: 'app',
  data: z.array(appPassword),
  errors: ['APP_PASSWORDS_REFUSED', 'IDENTITY_NOT_READY', 'RATE_LIMITED'],
});

/** Asks for no second factor: whoever has lost his phone, with an app on it, must be able to lock that app out. */
export const revokeAppPassword = contract({
  operationId: 'revokeAppPassword',
  summary:
    'Take an app password back: no app logs in by it any more. One that is logged in may go on for up to two hours',
  method: 'DELETE',
  path: '/api/pds/app-passwords/{name}',
  access: 'member',
  host: 'app',
  limits: { member: { max: 60, ...A_DAY }, address: ADDRESS },
  // Other apps take any name.
  params: z.strictObject({ name: z.string().check(z.minLength(1), z.maxLength(512)) }),
  data: z.object({ name: z.string(), revoked: z.literal(true) }),
  errors: ['APP_PASSWORD_NOT_FOUND', 'APP_PASSWORDS_REFUSED', 'IDENTITY_NOT_READY'],
});
