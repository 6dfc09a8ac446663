import { createCipheriv, createDecipheriv } from 'node:crypto';

/** Bytes of an initialization vector: the schema asks for 128 bits (32 hex characters). */
export const IV_BYTES = 16;
/** Bytes of an authentication tag. */
export const TAG_BYTES = 16;
/** Bytes of every key here: AES-256. */
export const KEY_BYTES = 32;

const ALGORITHM = 'aes-256-gcm';

/**
 * AES-256-GCM (NIST SP 800-38D) with a 128-bit tag. The caller never uses one key twice with the same IV:
 * lib/vault/envelope.ts derives a fresh key for every call.
 */
export function encrypt(
  key: Uint8Array,
  iv: Uint8Array,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
): { ciphertext: Uint8Array; tag: Uint8Array } {
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData);
  const ciphertext = cipher.update(plaintext);
  cipher.final(); // GCM is a stream mode: final() adds no bytes, it closes the tag.
  return { ciphertext, tag: cipher.getAuthTag() };
}

/**
 * The reverse of `encrypt`. Returns undefined, and nothing else, when the value does not authenticate.
 *
 * `authTagLength` is what makes Node refuse shorter tags (it accepts 4 bytes without it), and update()
 * hands out plaintext that is not authenticated yet: those bytes are wiped when final() refuses them.
 */
export function decrypt(
  key: Uint8Array,
  iv: Uint8Array,
  associatedData: Uint8Array,
  { ciphertext, tag }: { ciphertext: Uint8Array; tag: Uint8Array },
): Uint8Array | undefined {
  if (tag.length !== TAG_BYTES) return undefined;
  const decipher = createDecipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData);
  decipher.setAuthTag(tag);
  const unverified = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    unverified.fill(0);
    return undefined;
  }
  return unverified;
}
