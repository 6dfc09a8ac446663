import { p256 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { decodeMultikey, didKeyToMultikey, type PublicKey } from '../multikey.ts';

const CURVES = { k256: secp256k1, p256 };
export type RotationKey = PublicKey & { algorithm: keyof typeof CURVES };

/** The key of a did:key that may be a rotation key: k256 or p256. Undefined for anything else. */
export function readRotationKey(didKey: string): RotationKey | undefined {
  try {
    const { algorithm, bytes } = decodeMultikey(didKeyToMultikey(didKey));
    return algorithm === 'ed25519' ? undefined : { algorithm, bytes };
  } catch {
    return undefined;
  }
}

/**
 * Whether this key signed the SHA-256 of a message: 64 bytes r‖s, s in the lower half of the order, in base64url
 * without padding. Every signature has one spelling.
 * https://atproto.com/specs/cryptography#ecdsa-signature-malleability
 */
export function isSignedBy(didKey: string, message: Uint8Array, signature: string): boolean {
  const key = readRotationKey(didKey);
  const bytes = Buffer.from(signature, 'base64url');
  if (!key || bytes.length !== 64 || bytes.toString('base64url') !== signature) return false;
  return CURVES[key.algorithm].verify(Uint8Array.from(bytes), message, key.bytes, {
    prehash: true,
    lowS: true,
    format: 'compact',
  });
}
