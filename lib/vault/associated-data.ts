import { AppError } from '../app-error.ts';

/**
 * Encodes fields so that no two different lists give the same bytes: each field as UTF-8 behind its length
 * (32 bits, big-endian). Without lengths ("ab","c") and ("a","bc") would authenticate each other's values.
 *
 * An empty field or one with a lone surrogate (which UTF-8 would silently replace) is refused.
 */
export function encodeFields(fields: readonly string[]): Uint8Array {
  const parts: Buffer[] = [];
  for (const field of fields) {
    if (field === '' || !field.isWellFormed()) {
      throw new AppError('SECRET_PLACE_INVALID', 'A secret is bound to non-empty, well-formed names only.');
    }
    const bytes = Buffer.from(field, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}
