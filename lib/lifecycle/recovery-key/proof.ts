import { apiError } from '../../http/error-codes.ts';
import { isSignedBy, readRotationKey } from '../../identity/plc/signature.ts';
import { keyStatement } from './words.ts';

export type Proof = { publicKey: string; signature: string };

/**
 * Throws `RECOVERY_KEY_INVALID` (400) for what is no key that can be one, ours included, and `RECOVERY_KEY_NOT_PROVEN`
 * (400) unless the signature shows that who sends it holds it.
 */
export function checkProof(
  did: string,
  { publicKey, signature }: Proof,
  { ours }: { ours: string | undefined },
): void {
  if (readRotationKey(publicKey) === undefined || publicKey === ours) {
    throw apiError('RECOVERY_KEY_INVALID', { fields: ['public_key'] });
  }
  if (!isSigned(publicKey, keyStatement(did, publicKey), signature)) {
    throw apiError('RECOVERY_KEY_NOT_PROVEN', { fields: ['signature'] });
  }
}

/** Whether the holder of a key has signed a text: see `isSignedBy`. */
export function isSigned(didKey: string, text: string, signature: string): boolean {
  return isSignedBy(didKey, new TextEncoder().encode(text), signature);
}
