import { hkdfSync, randomBytes } from 'node:crypto';
import { AppError } from '../app-error.ts';
import { KEY_BYTES } from './aes-gcm.ts';
import { encodeFields } from './associated-data.ts';
import { type Envelope, type FormatVersion, openEnvelope, PART_BYTES, sealEnvelope } from './envelope.ts';
import type { KeyContext, KeyRewrapper } from './key-wrapper.ts';

/** The first byte of a wrapped key, by the format of its envelope. */
const FORMAT_BYTES = { v1: 1, v2: 2 } as const satisfies Record<FormatVersion, number>;

/**
 * Wraps data keys under PDS_ENCRYPTION_KEY, for installations without KMS: same form of secrets, same
 * promises about tampering; but whoever reads this process's environment has the key.
 * `encryptionKey` is 32 bytes as base64; anything else throws SETTINGS_INVALID, which never quotes the value.
 */
export function createLocalWrapper(encryptionKey: string): KeyRewrapper {
  const masterKey = decodeKey(encryptionKey);
  const wrap = (dataKey: Uint8Array, context: KeyContext) =>
    toBytes(sealEnvelope(masterKey, 'data-key', bindingOf(context), dataKey));
  return {
    keyId: `local:${fingerprint(masterKey)}`,
    async generateDataKey(context) {
      const plaintext = new Uint8Array(randomBytes(KEY_BYTES));
      return { plaintext, wrapped: wrap(plaintext, context) };
    },
    wrap: async (dataKey, context) => wrap(dataKey, context),
    async unwrap(wrapped, context) {
      const envelope = fromBytes(wrapped);
      return envelope && openEnvelope(masterKey, 'data-key', bindingOf(context), envelope);
    },
  };
}

function bindingOf({ environment, dataKeyId }: KeyContext): Uint8Array {
  return encodeFields([environment, dataKeyId]);
}

/** `2 ‖ salt ‖ commitment ‖ iv ‖ tag ‖ encrypted key`: all sizes are fixed. */
function toBytes({ version, salt, commitment, iv, tag, ciphertext }: Envelope): Uint8Array {
  return Buffer.concat([Uint8Array.of(FORMAT_BYTES[version]), salt, commitment, iv, tag, ciphertext]);
}

function fromBytes(wrapped: Uint8Array): Envelope | undefined {
  const { salt, commitment, iv, tag } = PART_BYTES;
  if (wrapped.length !== 1 + salt + commitment + iv + tag + KEY_BYTES) return undefined;
  const version = (['v1', 'v2'] as const).find((name) => FORMAT_BYTES[name] === wrapped[0]);
  if (version === undefined) return undefined;
  let end = 1;
  const next = (length: number) => {
    end += length;
    return wrapped.subarray(end - length, end);
  };
  return {
    version,
    salt: next(salt),
    commitment: next(commitment),
    iv: next(iv),
    tag: next(tag),
    ciphertext: next(KEY_BYTES),
  };
}

function decodeKey(setting: string): Uint8Array {
  const text = setting.trim();
  const key = Buffer.from(text, 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text) {
    throw new AppError(
      'SETTINGS_INVALID',
      'PDS_ENCRYPTION_KEY must be 32 bytes in base64: head -c 32 /dev/urandom | base64',
    );
  }
  return key;
}

/** Tells two keys apart in the database and in errors; one-way, and no help in guessing a random key. */
function fingerprint(masterKey: Uint8Array): string {
  return Buffer.from(hkdfSync('sha512', masterKey, '', 'pds-vault/v1/key-id', 8)).toString('hex');
}
