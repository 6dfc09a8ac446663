import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { encodeMultikey } from './multikey.ts';

/** `size` bytes from a cryptographically strong source. */
export type RandomBytes = (size: number) => Uint8Array;
/** `privateKey` is 32 raw bytes and secret: seal it before anything else happens. */
export type KeyPair = { publicKeyMultibase: string; privateKey: Uint8Array };

/** PKCS #8 of an Ed25519 key up to its 32-byte seed: RFC 8410 §7. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Makes the member's own Ed25519 key, the `#pnptv-<n>` of his DID document.
 * `privateKey` is the 32-byte seed of RFC 8032 §5.1.5, the form in which libraries exchange Ed25519 keys.
 */
export function newMemberKey(random: RandomBytes = randomBytes): KeyPair {
  const privateKey = Uint8Array.from(random(32));
  return { publicKeyMultibase: publicMemberKey(privateKey), privateKey };
}

/** The public part, as Multikey, of the member's key with this seed: 32 bytes, or it throws. RFC 8032 §5.1.5. */
export function publicMemberKey(seed: Uint8Array): string {
  const { x } = createPublicKey(ed25519PrivateKey(seed)).export({ format: 'jwk' });
  const bytes = Uint8Array.from(Buffer.from(x ?? '', 'base64url'));
  return encodeMultikey({ algorithm: 'ed25519', bytes });
}

/**
 * Makes a k256 key: for `#atproto` of a did:web, which proves to a PDS that the DID is ours until the PDS's own key
 * takes over, or for the rotation keys of a did:plc.
 * `privateKey` is the 32-byte big-endian scalar of SEC 1 §2.3.7.
 */
export function newK256Key(random: RandomBytes = randomBytes): KeyPair {
  // 48 bytes reduced modulo the order are uniform to within 2^-128 (FIPS 186-5 A.2.1); 32 would be biased.
  const privateKey = secp256k1.utils.randomSecretKey(Uint8Array.from(random(secp256k1.lengths.seed ?? 48)));
  return { publicKeyMultibase: publicK256Key(privateKey), privateKey };
}

/** The public part, as Multikey, of a k256 key: 32 bytes that are a scalar of the curve, or it throws. */
export function publicK256Key(privateKey: Uint8Array): string {
  return encodeMultikey({ algorithm: 'k256', bytes: secp256k1.getPublicKey(privateKey, true) });
}

/**
 * Signs the SHA-256 of a message the way atproto wants it: 64 bytes r‖s, s in the lower half of the order.
 * Deterministic (RFC 6979). https://atproto.com/specs/cryptography#ecdsa-signature-malleability
 */
export function signK256(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
  return secp256k1.sign(message, privateKey, { prehash: true, lowS: true, format: 'compact' });
}

function ed25519PrivateKey(seed: Uint8Array) {
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
}
