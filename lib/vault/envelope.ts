import { createSecretKey, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { decrypt, encrypt, IV_BYTES, KEY_BYTES, TAG_BYTES } from './aes-gcm.ts';

/** How a sealed value is made. The name is part of every derivation label, of its binding and of the value itself. */
export type FormatVersion = 'v1' | 'v2';
/** The format of what is sealed now. What was sealed in the one before still opens. */
export const FORMAT_VERSION = 'v2';

export function isFormatVersion(name: string | undefined): name is FormatVersion {
  return name === 'v1' || name === 'v2';
}

export const SALT_BYTES = 32;
export const COMMITMENT_BYTES = 32;

/** What a key protects. Each purpose derives its own keys, so that neither can be passed off as the other. */
export type Purpose = 'secret' | 'data-key';

/** A sealed value in binary: everything but the outer key and the associated data, which are never stored. */
export type Envelope = {
  version: FormatVersion;
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
  const { key, commitment } = deriveKeys(FORMAT_VERSION, outerKey, salt, purpose);
  try {
    return { version: FORMAT_VERSION, salt, commitment, iv, ...encrypt(key, iv, associatedData, plaintext) };
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
  const { key, commitment } = deriveKeys(envelope.version, outerKey, envelope.salt, purpose);
  try {
    if (envelope.commitment.length !== COMMITMENT_BYTES) return undefined;
    if (!timingSafeEqual(commitment, envelope.commitment)) return undefined;
    return decrypt(key, envelope.iv, associatedData, envelope);
  } finally {
    key.fill(0);
  }
}

/**
 * The key of an envelope and the commitment to it: HKDF-SHA512 (RFC 5869) under a label of format version and purpose.
 * Both come from one 64-byte block of it, of which either half says nothing about the other; in `v1` each was derived
 * by itself, under a label of its own, which took twice as long and gave no more.
 */
function deriveKeys(
  version: FormatVersion,
  outerKey: Uint8Array,
  salt: Uint8Array,
  purpose: Purpose,
): { key: Uint8Array; commitment: Uint8Array } {
  // Given as bytes, Node would import the key anew in each derivation, at a higher price.
  const secret = createSecretKey(outerKey);
  const derive = (label: string, length: number) =>
    new Uint8Array(hkdfSync('sha512', secret, salt, `pds-vault/${version}/${label}`, length));
  if (version === 'v1') {
    return {
      key: derive(`${purpose}/encryption`, KEY_BYTES),
      commitment: derive(`${purpose}/commitment`, COMMITMENT_BYTES),
    };
  }
  const block = derive(purpose, KEY_BYTES + COMMITMENT_BYTES);
  return { key: block.subarray(0, KEY_BYTES), commitment: block.subarray(KEY_BYTES) };
}
