import {
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  IncorrectKeyException,
  InvalidCiphertextException,
  KMSClient,
  KMSServiceException,
} from '@aws-sdk/client-kms';
import { AppError } from '../app-error.ts';
import type { KeyRewrapper } from './key-wrapper.ts';

/** Three attempts of the SDK stay below the 15 s that one remote call may take. */
export const KMS_CLIENT_OPTIONS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 4_000, throwOnRequestTimeout: true },
};

const THROTTLED = new Set(['ThrottlingException', 'LimitExceededException', 'TooManyRequestsException']);

/**
 * Wraps data keys by AWS KMS. `keyId` is a key's ARN or id rather than an alias: an alias that is pointed
 * elsewhere would no longer open the older data keys. The region and, on the local platform, the endpoint
 * come from the SDK's own environment variables.
 */
export function createKmsWrapper(keyId: string, client = new KMSClient(KMS_CLIENT_OPTIONS)): KeyRewrapper {
  return {
    keyId,
    async generateDataKey(context) {
      const { Plaintext, CiphertextBlob } = await ask('GenerateDataKey', () =>
        client.send(
          new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: context }),
        ),
      );
      if (!Plaintext || !CiphertextBlob) throw unavailable('GenerateDataKey', 'an answer without a key');
      return { plaintext: takeOver(Plaintext), wrapped: CiphertextBlob };
    },
    async unwrap(wrapped, context) {
      try {
        // KMS could find the key by the ciphertext; naming it keeps foreign keys from being accepted.
        const { Plaintext } = await ask('Decrypt', () =>
          client.send(
            new DecryptCommand({ KeyId: keyId, CiphertextBlob: wrapped, EncryptionContext: context }),
          ),
        );
        if (!Plaintext) throw unavailable('Decrypt', 'an answer without a key');
        return takeOver(Plaintext);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (error.cause instanceof InvalidCiphertextException) return undefined;
        if (error.cause instanceof IncorrectKeyException) return undefined;
        throw error;
      }
    },
    async wrap(dataKey, context) {
      const { CiphertextBlob } = await ask('Encrypt', () =>
        client.send(new EncryptCommand({ KeyId: keyId, Plaintext: dataKey, EncryptionContext: context })),
      );
      if (!CiphertextBlob) throw unavailable('Encrypt', 'an answer without a ciphertext');
      return CiphertextBlob;
    },
  };
}

/** The SDK decodes into memory that it shares with others: we keep a copy of our own and wipe its part. */
function takeOver(bytes: Uint8Array): Uint8Array {
  const own = new Uint8Array(bytes);
  bytes.fill(0);
  return own;
}

async function ask<T>(operation: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    const name = error instanceof Error ? error.name : 'unknown error';
    if (!isRefusal(error)) throw unavailable(operation, name, error);
    throw new AppError(
      'KMS_REFUSED',
      `KMS refused ${operation} (${name}). Check the key of PDS_KMS_KEY_ID (or PDS_KMS_OLD_KEY_IDS): its state, its policy, our grants.`,
      { cause: error },
    );
  }
}

/** A 4xx is a refusal, unless it says "slow down". No answer at all, and every 5xx, passes by itself. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof KMSServiceException) || THROTTLED.has(error.name)) return false;
  const status = error.$metadata.httpStatusCode ?? 0;
  return status >= 400 && status < 500 && status !== 429;
}

function unavailable(operation: string, reason: string, cause?: unknown): AppError {
  return new AppError('KMS_UNAVAILABLE', `KMS did not answer ${operation} (${reason}). Try again later.`, {
    status: 503,
    retryable: true,
    cause,
  });
}
