import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { base58btc } from 'multiformats/bases/base58';
import { AppError } from '../app-error.ts';

export type KeyAlgorithm = 'ed25519' | 'k256' | 'p256';
/** A public key as its curve writes it: 32 bytes for Ed25519, a 33-byte compressed point for k256 and p256. */
export type PublicKey = { algorithm: KeyAlgorithm; bytes: Uint8Array };

type Codec = { prefix: Uint8Array; size: number; isPoint: (bytes: Uint8Array) => boolean };

/** Multicodec codes 0xed, 0xe7 and 0x1200, each as the unsigned varint that goes before the key. */
const CODECS: Record<KeyAlgorithm, Codec> = {
  ed25519: {
    prefix: Uint8Array.of(0xed, 0x01),
    size: 32,
    // Signatures by a key of small order verify for more than one message.
    isPoint: (bytes) => !ed25519.Point.fromBytes(bytes).isSmallOrder(),
  },
  k256: {
    prefix: Uint8Array.of(0xe7, 0x01),
    size: 33,
    isPoint: (bytes) => secp256k1.utils.isValidPublicKey(bytes, true),
  },
  p256: {
    prefix: Uint8Array.of(0x80, 0x24),
    size: 33,
    isPoint: (bytes) => p256.utils.isValidPublicKey(bytes, true),
  },
};
const ALGORITHMS: readonly KeyAlgorithm[] = ['ed25519', 'k256', 'p256'];
const PREFIX_SIZE = 2;
const LONGEST = 64; // base58 is quadratic in its input, and no key here needs more than 49 characters
const DID_KEY = 'did:key:';

/**
 * Writes a public key as Multikey: base58btc (`z…`) of multicodec and key.
 * Throws `KEY_INVALID` when the bytes are not a point of the curve.
 * W3C Controlled Identifiers §2.2.2, https://www.w3.org/TR/cid-1.0/#Multikey
 */
export function encodeMultikey({ algorithm, bytes }: PublicKey): string {
  const codec = CODECS[algorithm];
  checkPoint(algorithm, bytes);
  return base58btc.encode(Uint8Array.of(...codec.prefix, ...bytes));
}

/**
 * Reads a Multikey and checks that it holds a point of a curve that atproto or we use.
 * Throws `KEY_INVALID` for another base, codec, length or point; accepts only what `encodeMultikey` writes.
 */
export function decodeMultikey(multikey: string): PublicKey {
  const prefixed = decodeBase58(multikey);
  const algorithm = ALGORITHMS.find((name) => CODECS[name].prefix.every((byte, i) => prefixed[i] === byte));
  if (!algorithm) throw invalid('its type is not Ed25519, k256 or p256');
  const bytes = prefixed.slice(PREFIX_SIZE);
  checkPoint(algorithm, bytes);
  return { algorithm, bytes };
}

/** The Multikey of a `did:key` without a fragment, e.g. of a PDS's recommended credentials. Throws `KEY_INVALID`. */
export function didKeyToMultikey(didKey: string): string {
  if (!didKey.startsWith(DID_KEY)) throw invalid('it does not begin with did:key:');
  const multikey = didKey.slice(DID_KEY.length);
  decodeMultikey(multikey);
  return multikey;
}

function decodeBase58(multikey: string): Uint8Array {
  if (multikey.length > LONGEST) throw invalid('it is too long');
  try {
    return base58btc.decode(multikey);
  } catch (cause) {
    throw invalid('it is not base58btc beginning with z', cause);
  }
}

function checkPoint(algorithm: KeyAlgorithm, bytes: Uint8Array): void {
  const { size, isPoint } = CODECS[algorithm];
  if (bytes.length !== size) throw invalid(`${algorithm} needs ${size} bytes, not ${bytes.length}`);
  let valid = false;
  let cause: unknown;
  try {
    valid = isPoint(bytes);
  } catch (error) {
    cause = error;
  }
  if (!valid) throw invalid(`its bytes are no point of ${algorithm}`, cause);
}

function invalid(reason: string, cause?: unknown): AppError {
  return new AppError('KEY_INVALID', `The public key cannot be used: ${reason}.`, { cause });
}
