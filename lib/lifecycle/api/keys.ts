import * as z from 'zod/mini';

/** Its curve, and that it is a point of it, says `readRotationKey`. */
export const didKey = z
  .string()
  .check(z.regex(/^did:key:z[1-9A-HJ-NP-Za-km-z]{40,60}$/, 'must be a did:key'));
export const signature = z.string().check(z.regex(/^[A-Za-z0-9_-]{86}$/, 'must be 64 bytes in base64url'));
