import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

/** Ten tries an hour; and of wrong ones in a row, see MOST_WRONG_CODES (second-factor/spend-code.ts). */
export const CODE_TRIES = {
  member: { max: 10, windowSeconds: 3600 },
  address: { max: 300, windowSeconds: 3600 },
} as const;

const status = z.object({ enrolled: z.boolean(), recovery_codes_left: z.int() });
const recoveryCodes = z.object({ recovery_codes: z.array(z.string()) });

export const getSecondFactor = contract({
  operationId: 'getSecondFactor',
  summary: 'Whether you have a second factor, and how many recovery codes are left',
  method: 'GET',
  path: '/api/auth/2fa',
  access: 'member',
  host: 'app',
  data: status,
});

export const enrollTotp = contract({
  operationId: 'enrollTotp',
  summary:
    'Begin to set up an authenticator app (TOTP), within 10 minutes of your login. It counts once its first code is confirmed; until then another call replaces the secret',
  method: 'POST',
  path: '/api/auth/2fa/enroll',
  access: 'member',
  host: 'app',
  limits: CODE_TRIES,
  data: z.object({
    /** Base32, as an app takes it by hand. */
    secret: z.string(),
    otpauth_uri: z.string(),
    /** The URI as a QR code: a whole SVG document. */
    qr_svg: z.string(),
  }),
  errors: ['LOGIN_NOT_FRESH', 'TOTP_ALREADY_ENROLLED'],
});

export const confirmTotp = contract({
  operationId: 'confirmTotp',
  summary:
    'Confirm the app with its first code, within 10 minutes of your login; answers with ten recovery codes, this once',
  method: 'POST',
  path: '/api/auth/2fa/confirm',
  access: 'member',
  host: 'app',
  limits: CODE_TRIES,
  body: z.strictObject({
    code: z.string().check(z.regex(/^\d{3} ?\d{3}$/, 'must be the six digits that the app shows')),
  }),
  data: recoveryCodes,
  errors: ['LOGIN_NOT_FRESH', 'TOTP_NOT_ENROLLED', 'TOTP_ALREADY_ENROLLED', 'CODE_INVALID'],
});

export const renewRecoveryCodes = contract({
  operationId: 'renewRecoveryCodes',
  summary: 'Ten new recovery codes, shown this once; the ones before are good for nothing any more',
  method: 'POST',
  path: '/api/auth/2fa/recovery-codes',
  access: 'member',
  host: 'app',
  limits: CODE_TRIES,
  stepUp: {},
  data: recoveryCodes,
  errors: ['TOTP_NOT_ENROLLED'],
});

export const disableTotp = contract({
  operationId: 'disableTotp',
  summary: 'Have no second factor any more; what you have confirmed and not used yet is void',
  method: 'POST',
  path: '/api/auth/2fa/disable',
  access: 'member',
  host: 'app',
  limits: CODE_TRIES,
  stepUp: {},
  data: z.object({ enrolled: z.literal(false), recovery_codes_left: z.literal(0) }),
  errors: ['TOTP_NOT_ENROLLED'],
});
