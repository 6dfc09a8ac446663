import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { blob, optionalInteger, optionalText, text, textMap } from './aws-input.ts';
import { type AwsActions, AwsError, type AwsInput, startAwsJson } from './aws-json.ts';
import type { ListeningServer } from './http-server.ts';
import { type EncryptionContext, keyIdOfBlob, openBlob, sealBlob } from './kms-ciphertext.ts';
import { type KeySpec, type KmsKey, type KmsKeys, openKmsKeys } from './kms-keys.ts';

const ALGORITHM = 'SYMMETRIC_DEFAULT';
const PLAINTEXT = { min: 1, max: 4096 };
const CIPHERTEXT = { min: 1, max: 6144 };
const SIGNING = 'ECDSA_SHA_256';
const MESSAGE = { min: 1, max: 4096 };
const DATA_KEY = { min: 1, max: 1024 };

/**
 * KMS for symmetric keys and for signing with ECC_NIST_P256: the life of a key, and what its bearer does with it, under
 * their names on the wire.
 */
export function kmsActions(keys: KmsKeys): AwsActions {
  const arnOf = (key: KmsKey) => keys.arn(`key/${key.id}`);
  const seal = (key: KmsKey, plaintext: Buffer, context: EncryptionContext) =>
    sealBlob({ id: key.id, material: Buffer.from(key.material, 'base64') }, plaintext, context).toString(
      'base64',
    );

  function open(ciphertext: Buffer, context: EncryptionContext, expectedKey: string | undefined) {
    const id = keyIdOfBlob(ciphertext);
    if (id === undefined) throw new AwsError('InvalidCiphertextException', '');
    if (expectedKey !== undefined && keys.find(expectedKey).id !== id) {
      throw new AwsError(
        'IncorrectKeyException',
        'The key ID in the request does not identify the key of the blob.',
      );
    }
    const key = keys.findUsable(id);
    try {
      return { key, plaintext: openBlob(Buffer.from(key.material, 'base64'), ciphertext, context) };
    } catch {
      throw new AwsError('InvalidCiphertextException', '');
    }
  }

  return {
    'TrentService.CreateKey': (input) => {
      const spec = optionalText(input, 'KeySpec') ?? ALGORITHM;
      if (!isServed(spec)) throw new AwsError('UnsupportedOperationException', `no keys ${spec} here`);
      if (usageOf(spec) !== (optionalText(input, 'KeyUsage') ?? 'ENCRYPT_DECRYPT'))
        throw new AwsError('ValidationException', `KeyUsage of ${spec} is ${usageOf(spec)}`);
      const key = keys.create(undefined, { description: optionalText(input, 'Description'), spec });
      return { KeyMetadata: metadata(keys, key) };
    },
    'TrentService.CreateAlias': (input) => {
      keys.createAlias(text(input, 'AliasName'), text(input, 'TargetKeyId'));
      return {};
    },
    'TrentService.DescribeKey': (input) => ({ KeyMetadata: metadata(keys, keys.find(text(input, 'KeyId'))) }),
    'TrentService.EnableKey': (input) => {
      keys.change(notPendingDeletion(keys.find(text(input, 'KeyId'))), { state: 'Enabled' });
      return {};
    },
    'TrentService.DisableKey': (input) => {
      keys.change(notPendingDeletion(keys.find(text(input, 'KeyId'))), { state: 'Disabled' });
      return {};
    },
    'TrentService.ScheduleKeyDeletion': (input) => {
      const days = optionalInteger(input, 'PendingWindowInDays', { min: 7, max: 30 }) ?? 30;
      const key = notPendingDeletion(keys.find(text(input, 'KeyId')));
      // Nothing here ever deletes the material: a development machine has no reason to.
      const deletion = Date.now() / 1000 + days * 86_400;
      keys.change(key, { state: 'PendingDeletion', deletion });
      return { KeyId: arnOf(key), DeletionDate: deletion, KeyState: key.state, PendingWindowInDays: days };
    },
    'TrentService.CancelKeyDeletion': (input) => {
      const key = keys.find(text(input, 'KeyId'));
      if (key.state !== 'PendingDeletion') throw invalidState(key);
      keys.change(key, { state: 'Disabled', deletion: undefined });
      return { KeyId: arnOf(key) };
    },
    'TrentService.GetPublicKey': (input) => {
      const key = usedFor('SIGN_VERIFY', keys.findUsable(text(input, 'KeyId')));
      const publicKey = createPublicKey(privateKeyOf(key)).export({ format: 'der', type: 'spki' });
      return {
        KeyId: arnOf(key),
        PublicKey: publicKey.toString('base64'),
        KeySpec: key.spec,
        KeyUsage: 'SIGN_VERIFY',
        SigningAlgorithms: [SIGNING],
      };
    },
    'TrentService.Sign': (input) => {
      const key = usedFor('SIGN_VERIFY', keys.findUsable(text(input, 'KeyId')));
      const message = blob(input, 'Message', MESSAGE);
      if (
        text(input, 'SigningAlgorithm') !== SIGNING ||
        (optionalText(input, 'MessageType') ?? 'RAW') !== 'RAW'
      )
        throw new AwsError('UnsupportedOperationException', `only ${SIGNING} of a RAW message here`);
      const Signature = sign('sha256', message, privateKeyOf(key)).toString('base64');
      return { KeyId: arnOf(key), Signature, SigningAlgorithm: SIGNING };
    },
    'TrentService.Encrypt': (input) => {
      const key = usedFor('ENCRYPT_DECRYPT', keys.findUsable(text(input, 'KeyId')));
      const CiphertextBlob = seal(
        key,
        blob(input, 'Plaintext', PLAINTEXT),
        textMap(input, 'EncryptionContext'),
      );
      return { CiphertextBlob, KeyId: arnOf(key), EncryptionAlgorithm: ALGORITHM };
    },
    'TrentService.Decrypt': (input) => {
      const ciphertext = blob(input, 'CiphertextBlob', CIPHERTEXT);
      const context = textMap(input, 'EncryptionContext');
      const { key, plaintext } = open(ciphertext, context, optionalText(input, 'KeyId'));
      return { Plaintext: plaintext.toString('base64'), KeyId: arnOf(key), EncryptionAlgorithm: ALGORITHM };
    },
    'TrentService.GenerateDataKey': (input) => {
      const bytes = dataKeyBytes(input);
      const key = usedFor('ENCRYPT_DECRYPT', keys.findUsable(text(input, 'KeyId')));
      const plaintext = randomBytes(bytes);
      const CiphertextBlob = seal(key, plaintext, textMap(input, 'EncryptionContext'));
      return { CiphertextBlob, Plaintext: plaintext.toString('base64'), KeyId: arnOf(key) };
    },
  };
}

/** KMS alone on a loopback port, for tests: `AWS_ENDPOINT_URL_KMS` = `url`. */
export async function startKms(
  options: { file?: string; port?: number } = {},
): Promise<ListeningServer & Pick<KmsKeys, 'ensureKey'>> {
  const keys = openKmsKeys({ file: options.file });
  const server = await startAwsJson(kmsActions(keys), { port: options.port });
  return { ...server, ensureKey: keys.ensureKey };
}

function dataKeyBytes(input: AwsInput): number {
  const spec = optionalText(input, 'KeySpec');
  const number = optionalInteger(input, 'NumberOfBytes', DATA_KEY);
  const bySpec = { AES_128: 16, AES_256: 32 }[spec ?? ''];
  if ((spec === undefined) === (number === undefined) || (spec !== undefined && bySpec === undefined)) {
    throw new AwsError('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  return number ?? bySpec ?? 0;
}

function invalidState(key: KmsKey): AwsError {
  return new AwsError('KMSInvalidStateException', `key ${key.id} is in state ${key.state}.`);
}

function notPendingDeletion(key: KmsKey): KmsKey {
  if (key.state === 'PendingDeletion') throw invalidState(key);
  return key;
}

function isServed(spec: string): spec is KeySpec {
  return spec === ALGORITHM || spec === 'ECC_NIST_P256';
}

function usageOf(spec: KeySpec = ALGORITHM): 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY' {
  return spec === ALGORITHM ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY';
}

function usedFor(usage: 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY', key: KmsKey): KmsKey {
  if (usageOf(key.spec) === usage) return key;
  throw new AwsError('InvalidKeyUsageException', `key ${key.id} is for ${usageOf(key.spec)}.`);
}

function privateKeyOf({ material }: KmsKey): KeyObject {
  return createPrivateKey({ key: Buffer.from(material, 'base64'), format: 'der', type: 'pkcs8' });
}

function metadata(keys: KmsKeys, key: KmsKey) {
  return {
    AWSAccountId: keys.account,
    KeyId: key.id,
    Arn: keys.arn(`key/${key.id}`),
    CreationDate: key.created,
    DeletionDate: key.deletion,
    Description: key.description,
    Enabled: key.state === 'Enabled',
    KeyState: key.state,
    KeyUsage: usageOf(key.spec),
    KeySpec: key.spec ?? ALGORITHM,
    ...(usageOf(key.spec) === 'SIGN_VERIFY'
      ? { SigningAlgorithms: [SIGNING] }
      : { EncryptionAlgorithms: [ALGORITHM] }),
    KeyManager: 'CUSTOMER',
    Origin: 'AWS_KMS',
    MultiRegion: false,
  };
}
