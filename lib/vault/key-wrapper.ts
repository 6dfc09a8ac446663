/** What a wrapped data key is bound to. KMS shows it in CloudTrail in the clear: internal ids only. */
export type KeyContext = { environment: string; dataKeyId: string };

/**
 * The key above the data keys, which never leaves its place: an AWS KMS key (kms-wrapper.ts) or the
 * operator's PDS_ENCRYPTION_KEY (local-wrapper.ts). Plaintexts that it returns belong to the caller, who
 * wipes them.
 */
export interface KeyWrapper {
  /** Names the wrapping key without revealing it; stored beside each wrapped data key. */
  readonly keyId: string;
  /** A new random 256-bit data key, plain and wrapped for exactly this context. */
  generateDataKey(context: KeyContext): Promise<{ plaintext: Uint8Array; wrapped: Uint8Array }>;
  /**
   * The data key in `wrapped`, or undefined when it was wrapped by another key or for another context, or
   * was changed. Throws a retryable error when the wrapping key cannot be reached right now.
   */
  unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Uint8Array | undefined>;
}

/** One that also wraps a data key that exists: for re-wrapping, an operator's task. No function of ours may do it. */
export interface KeyRewrapper extends KeyWrapper {
  wrap(dataKey: Uint8Array, context: KeyContext): Promise<Uint8Array>;
}

/**
 * The one of these keys by this name; undefined when it is none of them. A KMS key may be named by its id or by its
 * ARN, and is the same key.
 */
export function keyNamed<Key extends KeyWrapper>(keys: readonly Key[], name: string): Key | undefined {
  return keys.find(({ keyId }) => bareId(keyId) === bareId(name));
}

function bareId(keyId: string): string {
  return keyId.replace(/^arn:[^/]*:key\//, '');
}
