import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
  SignCommand,
  type SignCommandInput,
  TagResourceCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startKms } from '../../../infra/local/aws/kms.ts';

const home = mkdtempSync(path.join(tmpdir(), 'kms-test-'));
const file = path.join(home, 'kms.json');
const secret = Buffer.from('the members of a community');
const context = { environment: 'test', dataKey: '7' };
let server: Awaited<ReturnType<typeof startKms>>;
let kms: KMSClient;
let keyId: string;

async function start(): Promise<void> {
  server = await startKms({ file });
  kms = new KMSClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
}

async function stop(): Promise<void> {
  kms.destroy();
  await server.stop();
}

beforeAll(start);
afterAll(async () => {
  await stop();
  rmSync(home, { recursive: true });
});
beforeEach(async () => {
  keyId = (await kms.send(new CreateKeyCommand({ Description: 'for one test' }))).KeyMetadata?.KeyId ?? '';
});

const encrypt = async (EncryptionContext: Record<string, string> = context) =>
  (await kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: secret, EncryptionContext })))
    .CiphertextBlob as Uint8Array;
const decrypt = (
  CiphertextBlob: Uint8Array,
  EncryptionContext: Record<string, string> = context,
  KeyId?: string,
) => kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId }));

describe('a key for signing', () => {
  const newSigningKey = async () =>
    (await kms.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }))).KeyMetadata;
  const signed = (KeyId: string | undefined, more: Partial<SignCommandInput> = {}) =>
    kms.send(new SignCommand({ KeyId, Message: secret, SigningAlgorithm: 'ECDSA_SHA_256', ...more }));

  it('signs what its public key verifies, also after a restart', async () => {
    const key = await newSigningKey();
    expect(key).toMatchObject({
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      SigningAlgorithms: ['ECDSA_SHA_256'],
    });
    const { PublicKey = new Uint8Array() } = await kms.send(new GetPublicKeyCommand({ KeyId: key?.KeyId }));
    await stop();
    await start();
    const { Signature = new Uint8Array() } = await signed(key?.Arn);
    const publicKey = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
    expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(verify('sha256', secret, publicKey, Signature)).toBe(true);
    expect(verify('sha256', Buffer.from('another'), publicKey, Signature)).toBe(false);
  });

  it('does nothing else, and nothing that is not served', async () => {
    const KeyId = (await newSigningKey())?.KeyId;
    const misused = { name: 'InvalidKeyUsageException' };
    await expect(kms.send(new EncryptCommand({ KeyId, Plaintext: secret }))).rejects.toMatchObject(misused);
    await expect(kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))).rejects.toMatchObject(
      misused,
    );
    await expect(signed(keyId)).rejects.toMatchObject(misused);
    await expect(kms.send(new GetPublicKeyCommand({ KeyId: keyId }))).rejects.toMatchObject(misused);
    const unserved = { name: 'UnsupportedOperationException' };
    await expect(signed(KeyId, { MessageType: 'DIGEST' })).rejects.toMatchObject(unserved);
    await expect(signed(KeyId, { SigningAlgorithm: 'ECDSA_SHA_384' })).rejects.toMatchObject(unserved);
    await expect(kms.send(new CreateKeyCommand({ KeySpec: 'RSA_2048' }))).rejects.toMatchObject(unserved);
    await expect(kms.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256' }))).rejects.toMatchObject({
      name: 'ValidationException',
    });
    await kms.send(new DisableKeyCommand({ KeyId }));
    await expect(signed(KeyId)).rejects.toMatchObject({ name: 'DisabledException' });
  });
});

describe('what must not open', () => {
  it('a blob with another context, a part of it, or none', async () => {
    const blob = await encrypt();
    const others: Record<string, string>[] = [
      { ...context, dataKey: '8' },
      { environment: 'test' },
      { ...context, more: '' },
      {},
    ];
    for (const other of others) {
      await expect(decrypt(blob, other)).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
    }
  });

  it('a blob with any byte changed, cut short or made longer', async () => {
    const blob = await encrypt();
    for (let i = 0; i < blob.length; i++) {
      const changed = Uint8Array.from(blob);
      changed[i] = (changed[i] ?? 0) ^ 1;
      await expect(decrypt(changed)).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } });
    }
    for (const other of [
      blob.slice(0, -1),
      blob.slice(0, 20),
      Uint8Array.from([...blob, 0]),
      Uint8Array.of(1),
    ]) {
      await expect(decrypt(other)).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
    }
  });

  it('a blob of another key than the one that the caller expects', async () => {
    const blob = await encrypt();
    const other = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId;
    await expect(decrypt(blob, context, other)).rejects.toMatchObject({ name: 'IncorrectKeyException' });
  });

  it('anything, while the key is disabled', async () => {
    const blob = await encrypt();
    await kms.send(new DisableKeyCommand({ KeyId: keyId }));
    for (const refused of [decrypt(blob), encrypt()]) {
      await expect(refused).rejects.toMatchObject({ name: 'DisabledException' });
    }
    await kms.send(new EnableKeyCommand({ KeyId: keyId }));
    expect((await decrypt(blob)).Plaintext).toEqual(Uint8Array.from(secret));
  });

  it('anything, while the key waits for its deletion', async () => {
    const blob = await encrypt();
    const window = { KeyId: keyId, PendingWindowInDays: 7 };
    const scheduled = await kms.send(new ScheduleKeyDeletionCommand(window));
    expect(scheduled.DeletionDate?.getTime()).toBeGreaterThan(Date.now() + 6.9 * 86_400_000);
    await expect(decrypt(blob)).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await expect(kms.send(new EnableKeyCommand({ KeyId: keyId }))).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
    });
    await kms.send(new CancelKeyDeletionCommand({ KeyId: keyId }));
    await kms.send(new EnableKeyCommand({ KeyId: keyId }));
    expect((await decrypt(blob)).Plaintext).toEqual(Uint8Array.from(secret));
  });
});

describe('requests that it refuses', () => {
  it.each([
    ['a key that does not exist', () => new DescribeKeyCommand({ KeyId: 'nobody' }), 'NotFoundException'],
    [
      'an alias that does not exist',
      () => new DescribeKeyCommand({ KeyId: 'alias/nobody' }),
      'NotFoundException',
    ],
    [
      'a key named like a property',
      () => new DescribeKeyCommand({ KeyId: '__proto__' }),
      'NotFoundException',
    ],
    [
      'a plaintext over 4 KiB',
      () => new EncryptCommand({ KeyId: keyId, Plaintext: new Uint8Array(4097) }),
      'ValidationException',
    ],
    [
      'an empty plaintext',
      () => new EncryptCommand({ KeyId: keyId, Plaintext: new Uint8Array() }),
      'ValidationException',
    ],
    [
      'a data key without a length',
      () => new GenerateDataKeyCommand({ KeyId: keyId }),
      'ValidationException',
    ],
    [
      'a data key with two lengths',
      () => new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', NumberOfBytes: 32 }),
      'ValidationException',
    ],
    [
      'an action that is not served',
      () => new TagResourceCommand({ KeyId: keyId, Tags: [] }),
      'UnknownOperationException',
    ],
  ])('%s', async (_name, command, name) => {
    await expect(kms.send(command() as DescribeKeyCommand)).rejects.toMatchObject({ name });
  });

  it('a body that is no JSON object', async () => {
    for (const body of ['{', '[]', 'null']) {
      const headers = { 'x-amz-target': 'TrentService.CreateKey' };
      const response = await fetch(server.url, { method: 'POST', headers, body });
      expect([response.status, (await response.json()) as object]).toEqual([
        400,
        expect.objectContaining({ __type: 'SerializationException' }),
      ]);
    }
  });
});

describe('keys', () => {
  it('make data keys that only the context opens again', async () => {
    const request = { KeyId: keyId, KeySpec: 'AES_256' as const, EncryptionContext: context };
    const made = await kms.send(new GenerateDataKeyCommand(request));
    expect(made.Plaintext).toHaveLength(32);
    expect((await decrypt(made.CiphertextBlob as Uint8Array)).Plaintext).toEqual(made.Plaintext);
  });

  it('are found by id, ARN, alias and the ARN of the alias; an alias is given once', async () => {
    const AliasName = `alias/members/${keyId}`;
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: keyId }));
    const arn = (await kms.send(new DescribeKeyCommand({ KeyId: keyId }))).KeyMetadata?.Arn ?? '';
    for (const KeyId of [keyId, arn, AliasName, arn.replace(`key/${keyId}`, AliasName)]) {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({ KeyId: keyId, Enabled: true, Description: 'for one test' });
    }
    await expect(kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: keyId }))).rejects.toMatchObject({
      name: 'AlreadyExistsException',
    });
  });

  it('name their file when it is broken, instead of beginning with no keys', async () => {
    const broken = path.join(home, 'broken.json');
    for (const content of ['', 'garbage', '{"keys":']) {
      writeFileSync(broken, content);
      await expect(startKms({ file: broken })).rejects.toThrow(`${broken} is no JSON any more`);
    }
  });

  it('survive a restart, in a file for its owner only, which no plaintext enters', async () => {
    const blob = await encrypt();
    await stop();
    await start();
    expect((await decrypt(blob)).Plaintext).toEqual(Uint8Array.from(secret));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).not.toContain(secret.toString());
  });

  it('are made once under a chosen id and alias by the template runner', async () => {
    const first = server.ensureKey('11111111-2222-4333-8444-555555555555', 'alias/chosen');
    keyId = 'alias/chosen';
    const blob = await encrypt();
    expect(server.ensureKey('11111111-2222-4333-8444-555555555555', 'alias/chosen')).toBe(first);
    expect((await decrypt(blob, context, first)).Plaintext).toEqual(Uint8Array.from(secret));
  });
});
