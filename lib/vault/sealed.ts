import { AppError } from '../app-error.ts';
import { type Envelope, isFormatVersion, PART_BYTES } from './envelope.ts';

/**
 * A sealed secret as the database stores it:
 * `body` = `v2.<data key id>.<salt>.<commitment>.<ciphertext>` (id as lower-case UUID, the rest base64url),
 * `iv` and `tag` = 32 lower-case hex characters each. All of it may be known; none of it may be changed.
 */
export type Sealed = { body: string; iv: string; tag: string };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The one-column form of a sealed secret, `body.iv.tag`, for tables that have no columns for iv and tag. */
export function joinSealed({ body, iv, tag }: Sealed): string {
  return `${body}.${iv}.${tag}`;
}

/** The reverse of `joinSealed`. Throws SEALED_VALUE_INVALID for anything that `joinSealed` never wrote. */
export function splitSealed(joined: string): Sealed {
  const [tag = '', iv = '', ...body] = joined.split('.').reverse();
  const sealed = { body: body.reverse().join('.'), iv, tag };
  parseSealed(sealed);
  return sealed;
}

export function isDataKeyId(value: string): boolean {
  return UUID.test(value);
}

export function formatSealed(dataKeyId: string, envelope: Envelope): Sealed {
  const { version, salt, commitment, ciphertext } = envelope;
  const body = [version, dataKeyId, ...[salt, commitment, ciphertext].map(toBase64url)].join('.');
  return { body, iv: toHex(envelope.iv), tag: toHex(envelope.tag) };
}

/**
 * Reads a sealed value strictly: every value has exactly one spelling. Throws SEALED_VALUE_INVALID, the same
 * for every fault, so that the answer says nothing about where the fault is.
 */
export function parseSealed(sealed: Sealed): { dataKeyId: string; envelope: Envelope } {
  const parts = sealed.body.split('.');
  const [version, dataKeyId = '', salt = '', commitment = '', ciphertext = ''] = parts;
  if (parts.length !== 5 || !isFormatVersion(version) || !isDataKeyId(dataKeyId)) throw invalid();
  return {
    dataKeyId,
    envelope: {
      version,
      salt: decode(salt, 'base64url', PART_BYTES.salt),
      commitment: decode(commitment, 'base64url', PART_BYTES.commitment),
      ciphertext: decode(ciphertext, 'base64url'),
      iv: decode(sealed.iv, 'hex', PART_BYTES.iv),
      tag: decode(sealed.tag, 'hex', PART_BYTES.tag),
    },
  };
}

/** Buffer reads other alphabets, padding and half-used last characters too: only what it would write is right. */
function decode(text: string, encoding: 'base64url' | 'hex', length?: number): Uint8Array {
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== text) throw invalid();
  if (length !== undefined && bytes.length !== length) throw invalid();
  return bytes;
}

function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function invalid(): AppError {
  return new AppError('SEALED_VALUE_INVALID', 'The stored value is not in the form of a sealed secret.');
}
