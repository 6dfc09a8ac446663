import { EXAMPLE_DOMAIN, type Words } from './word.ts';

const TOTP_SECRET = 'JBSWY3DPEHPK3PXP'.repeat(2);

/** The second factor. */
export const SECOND_FACTOR: Words = {
  enrolled: { means: 'There is a second factor, and its first code was confirmed' },
  recovery_codes_left: { means: 'How many recovery codes were not used yet', example: 10 },
  secret: { means: 'For an app that reads no QR code, in base32', example: TOTP_SECRET },
  otpauth_uri: {
    means: 'The same as a link for apps',
    example: `otpauth://totp/${EXAMPLE_DOMAIN}:alice?secret=${TOTP_SECRET}&issuer=${EXAMPLE_DOMAIN}`,
  },
  qr_svg: {
    means: 'The link as a QR code, a whole SVG image',
    example: '<svg xmlns="http://www.w3.org/2000/svg" …',
  },
  'confirmTotp.code': { means: 'The six digits that the app shows', example: '492039' },
  recovery_codes: {
    means: 'Each opens once what a code of the app opens; how they are typed does not matter',
    example: ['7k2mp-x04qd-9wzrt-cf3ha'],
  },
  operation: { means: 'What is confirmed: `x-step-up.operation` of the route', example: 'revealCredentials' },
  target: {
    means:
      'The value of the field or parameter that `x-step-up.target` of the route names; if it names several, an object of them, just as they will be sent: what is left out there is left out here. null if it names none',
    example: 'private_key',
  },
  'stepUp.code': {
    means: 'The six digits that the app shows now, or a recovery code; each works once',
    example: '492039',
  },
  'stepUp.expires_at': { means: 'Until when it can be used', example: '2026-11-24T09:35:00.000Z' },
  'stepUp.token': {
    means: 'The new token of a session whose token is sent as a bearer; null where a cookie is set',
    example: null,
  },
};
