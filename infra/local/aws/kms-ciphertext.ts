import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * The ciphertext blob of the local KMS: `version(1) | length of key id(1) | key id | iv(12) | tag(16) | ciphertext`,
 * AES-256-GCM. Header and encryption context are authenticated, as KMS does it
 * (https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html).
 */
const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export type EncryptionContext = Record<string, string>;

export function sealBlob(
  key: { id: string; material: Buffer },
  plaintext: Buffer,
  context: EncryptionContext,
) {
  const id = Buffer.from(key.id);
  const header = Buffer.concat([Buffer.from([VERSION, id.length]), id]);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.material, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([header, canonical(context)]));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([header, iv, cipher.getAuthTag(), ciphertext]);
}

/** The id of the key that a blob names; undefined when it is no blob of ours. */
export function keyIdOfBlob(blob: Buffer): string | undefined {
  const idEnd = 2 + (blob[1] ?? 0);
  if (blob[0] !== VERSION || blob.length < idEnd + IV_BYTES + TAG_BYTES) return undefined;
  return blob.toString('utf8', 2, idEnd);
}

/** Throws when key, context or any byte differs from those at sealing. */
export function openBlob(material: Buffer, blob: Buffer, context: EncryptionContext): Buffer {
  const idEnd = 2 + (blob[1] ?? 0);
  const ivEnd = idEnd + IV_BYTES;
  const tagEnd = ivEnd + TAG_BYTES;
  const iv = blob.subarray(idEnd, ivEnd);
  const decipher = createDecipheriv('aes-256-gcm', material, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.concat([blob.subarray(0, idEnd), canonical(context)]));
  decipher.setAuthTag(blob.subarray(ivEnd, tagEnd));
  return Buffer.concat([decipher.update(blob.subarray(tagEnd)), decipher.final()]);
}

/** One spelling for one context: the pairs sorted, as JSON, whose quotes keep names and values apart. */
function canonical(context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(pairs));
}
