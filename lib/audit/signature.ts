import { createPublicKey, verify } from 'node:crypto';
import { AppError } from '../app-error.ts';
import { canonicalJson } from './canonical.ts';
import type { Head, RootSignature, RootStatement } from './statement.ts';

/** What stands for a head in the tree. */
export function leafOf(head: Head): Uint8Array {
  return Buffer.from(canonicalJson(['pds-audit-head/1', ...head]));
}

/** The bytes that are signed. */
export function messageOf(statement: RootStatement): Uint8Array {
  return Buffer.from(canonicalJson(statement));
}

/**
 * Throws `ROOT_INVALID` unless the signature is one of this statement. Whose key signed it is for the reader to
 * decide: whoever forges a root can sign it, with a key of his own.
 */
export function expectSigned(statement: RootStatement, { public_key, value }: RootSignature): void {
  let signed = false;
  try {
    const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
    signed = verify('sha256', messageOf(statement), key, Buffer.from(value, 'base64'));
  } catch {
    // No key.
  }
  if (!signed) throw invalidRoot('does not bear the signature of its key');
}

export function invalidRoot(problem: string): AppError {
  return new AppError('ROOT_INVALID', `The sealed root ${problem}.`);
}
