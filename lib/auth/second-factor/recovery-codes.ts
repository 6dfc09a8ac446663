import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { RandomBytes } from '../../identity/keys.ts';

export const RECOVERY_CODES = 10;
const LENGTH = 20;
const GROUP = 5;
/** Crockford's base32: no letter looks like a digit. https://www.crockford.com/base32.html */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** New recovery codes for a member: 100 random bits each, in groups to be read and copied, and what is stored of them. */
export function newRecoveryCodes(
  userId: string,
  random: RandomBytes = randomBytes,
): { codes: string[]; hashes: Uint8Array[] } {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    // 256 is a multiple of 32: no letter is likelier than another.
    Array.from(random(LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join(''),
  );
  return {
    codes: codes.map((code) => code.replace(new RegExp(`.{${GROUP}}(?=.)`, 'g'), '$&-')),
    hashes: codes.map((code) => hash(userId, code)),
  };
}

/** What is stored of a code, however it was typed: upper case, other groups, O for 0; undefined for what is no code. */
export function hashRecoveryCode(userId: string, typed: string): Uint8Array | undefined {
  const code = typed
    .toLowerCase()
    .replace(/[ -]/g, '')
    .replace(/[ilo]/g, (letter) => (letter === 'o' ? '0' : '1'));
  return code.length === LENGTH ? hash(userId, code) : undefined;
}

/** The stored hash that is this one. All are compared, each in constant time. */
export function findHash(stored: readonly Uint8Array[], wanted: Uint8Array): Uint8Array | undefined {
  return stored.filter((one) => timingSafeEqual(one, wanted))[0];
}

/**
 * SHA-256 is enough, without a key and without making it slow: nobody guesses 100 random bits, and a key that is rotated
 * would end codes that have to be good for years. With the member's id in it, a hash that is copied to another member is
 * of no code.
 */
function hash(userId: string, code: string): Uint8Array {
  return createHash('sha256').update(`recovery-code\n${userId}\n${code}`).digest();
}
