import { AppError } from '../app-error.ts';
import { encodeFields } from './associated-data.ts';
import { FORMAT_VERSION, type FormatVersion, openEnvelope, sealEnvelope } from './envelope.ts';
import { formatSealed, isDataKeyId, parseSealed, type Sealed } from './sealed.ts';
import type { Vault } from './vault.ts';

/**
 * Where a secret lives. A sealed value opens in its own place only: copied to another member, table or
 * column, or put back after `version` went on, it is unreadable.
 */
export type SecretPlace = {
  table: string;
  column: string;
  userId: string;
  /** Goes up when the secret is replaced: 0 or a larger safe integer. */
  version: number;
};

/**
 * Seals a secret for its place, under a key of its own that comes from this data key. Strings are sealed as
 * UTF-8. Two seals of the same secret differ.
 *
 * When the data key is not open, this reads its row through `vault.sql` and asks KMS: inside a transaction
 * call it only right after `chooseDataKey` or an `openSecret` with the same data key.
 * Throws DATA_KEY_NOT_FOUND, DATA_KEY_UNREADABLE, and retryable KMS_UNAVAILABLE.
 */
export async function sealSecret(
  vault: Pick<Vault, 'environment' | 'dataKeys'>,
  dataKeyId: string,
  place: SecretPlace,
  plaintext: Uint8Array | string,
): Promise<Sealed> {
  if (!isDataKeyId(dataKeyId)) {
    throw new AppError('DATA_KEY_NOT_FOUND', 'The id of a data key is a UUID in lower case.');
  }
  const bytes = typeof plaintext === 'string' ? encodeText(plaintext) : plaintext;
  const binding = bindingOf(FORMAT_VERSION, vault, dataKeyId, place);
  const envelope = await vault.dataKeys.use(dataKeyId, (key) => sealEnvelope(key, 'secret', binding, bytes));
  return formatSealed(dataKeyId, envelope);
}

/**
 * Opens a sealed secret in its place; the bytes belong to the caller, who may wipe them.
 *
 * Throws SEALED_VALUE_INVALID (not in the form of a sealed value) or SEALED_VALUE_UNREADABLE (another place,
 * another key or changed bytes; it does not say which), neither with any content; DATA_KEY_NOT_FOUND,
 * DATA_KEY_UNREADABLE, and retryable KMS_UNAVAILABLE. In a transaction the same holds as for `sealSecret`.
 */
export async function openSecret(
  vault: Pick<Vault, 'environment' | 'dataKeys'>,
  place: SecretPlace,
  sealed: Sealed,
): Promise<Uint8Array> {
  const { dataKeyId, envelope } = parseSealed(sealed);
  const binding = bindingOf(envelope.version, vault, dataKeyId, place);
  const plaintext = await vault.dataKeys.use(dataKeyId, (key) =>
    openEnvelope(key, 'secret', binding, envelope),
  );
  if (!plaintext) {
    throw new AppError(
      'SEALED_VALUE_UNREADABLE',
      'The stored secret does not open here: it was changed, or it belongs to another place.',
    );
  }
  return plaintext;
}

/** The associated data of a secret: everything that says which secret it is. */
function bindingOf(
  format: FormatVersion,
  { environment }: Pick<Vault, 'environment'>,
  dataKeyId: string,
  place: SecretPlace,
): Uint8Array {
  const { table, column, userId, version } = place;
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new AppError('SECRET_PLACE_INVALID', 'The version of a secret is 0 or a larger safe integer.');
  }
  return encodeFields([format, dataKeyId, environment, table, column, userId, String(version)]);
}

/** UTF-8 would silently replace a lone surrogate: what comes out would not be the secret that went in. */
function encodeText(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new AppError('SECRET_TEXT_INVALID', 'The secret is not well-formed text.');
  return new TextEncoder().encode(text);
}
