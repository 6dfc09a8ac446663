import { createSecretKey, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { decrypt, encrypt, IV_BYTES, KEY_BYTES, TAG_BYTES } from './aes-gcm.ts';

/** Name of the only format there is. It is part of every derivation label and of every sealed value. */
export const FORMAT_VERSION = 'v1';

export const SALT_BYTES = 32;
export const COMMITMENT_BYTES = 32;

/** What a key protects. Each purpose derives its own keys, so that neither can be passed off as the other. */
export type Purpose = 'secret' | 'data-key';

const labelsOf = (purpose: Purpose) => ({
  encryption: Buffer.from(`pds-vault/${FORMAT_VERSION}/${purpose}/encryption`),
  commitment: Buffer.from(`pds-vault/${FORMAT_VERSION}/${purpose}/commitment`),
});
const LABELS = { secret: labelsOf('secret'), 'data-key': labelsOf('data-key') } as const;

/** A sealed value in binary: everything but the outer key and the associated data, which are never stored. */
export type Envelope = {
  salt: Uint8Array;
  commitment: Uint8Array;
  iv: Uint8Array;
  tag: Uint8Array;
  ciphertext: Uint8Array;
};

/** The exact sizes of the parts with a fixed size; every parser checks them. */
export const PART_BYTES = { salt: SALT_BYTES, commitment: COMMITMENT_BYTES, iv: IV_BYTES, tag: TAG_BYTES };

/**
 * Seals `plaintext` under a key of its own, derived from `outerKey` by a random 256-bit salt: so the bounds
 * of AES-GCM on one key (random IVs, invocations, bytes) are never approached, whatever `outerKey` seals.
 */
export function sealEnvelope(
  outerKey: Uint8Array,
  purpose: Purpose,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
): Envelope {
  const random = randomBytes(SALT_BYTES + IV_BYTES);
  const [salt, iv] = [random.subarray(0, SALT_BYTES), random.subarray(SALT_BYTES)];
  const secret = createSecretKey(outerKey);
  const key = deriveKey(secret, salt, purpose, 'encryption');
  try {
    const commitment = deriveKey(secret, salt, purpose, 'commitment');
    return { salt, commitment, iv, ...encrypt(key, iv, associatedData, plaintext) };
  } finally {
    key.fill(0);
  }
}

/**
 * Opens an envelope, or returns undefined: wrong key, wrong associated data and changed bytes look alike.
 *
 * AES-GCM does not commit to its key: one ciphertext can be made that opens under two keys, to two texts
 * (Albertini et al., "How to Abuse and Fix Authenticated Encryption Without Key Commitment", USENIX
 * Security 2022). The commitment is therefore compared, in constant time, before anything is decrypted.
 */
export function openEnvelope(
  outerKey: Uint8Array,
  purpose: Purpose,
  associatedData: Uint8Array,
  envelope: Envelope,
): Uint8Array | undefined {
  const secret = createSecretKey(outerKey);
  const expected = deriveKey(secret, envelope.salt, purpose, 'commitment');
  if (envelope.commitment.length !== COMMITMENT_BYTES) return undefined;
  if (!timingSafeEqual(expected, envelope.commitment)) return undefined;
  const key = deriveKey(secret, envelope.salt, purpose, 'encryption');
  try {
    return decrypt(key, envelope.iv, associatedData, envelope);
  } finally {
    key.fill(0);
  }
}

/**
 * HKDF-SHA512 (RFC 5869); the label names format version, purpose and use.
 * @NOTE Node makes a KeyObject of a key that comes as bytes, in each call and at twice the price of the derivation:
 * made once for the two derivations of an envelope, it leaves fewer copies of the key to the garbage collector, too.
 */
function deriveKey(
  outerKey: KeyObject,
  salt: Uint8Array,
  purpose: Purpose,
  use: 'encryption' | 'commitment',
): Uint8Array {
  return new Uint8Array(hkdfSync('sha512', outerKey, salt, LABELS[purpose][use], KEY_BYTES));
}
