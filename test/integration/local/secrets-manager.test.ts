import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSecretsManager } from '../../../infra/local/aws/secrets-manager.ts';

const home = mkdtempSync(path.join(tmpdir(), 'secrets-test-'));
const file = path.join(home, 'secrets.json');
let server: Awaited<ReturnType<typeof startSecretsManager>>;
let client: SecretsManagerClient;

async function start(): Promise<void> {
  server = await startSecretsManager({ file });
  client = new SecretsManagerClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
}

async function stop(): Promise<void> {
  client.destroy();
  await server.stop();
}

beforeAll(start);
afterAll(async () => {
  await stop();
  rmSync(home, { recursive: true });
});

const read = async (SecretId: string, stage?: string) =>
  (await client.send(new GetSecretValueCommand({ SecretId, VersionStage: stage }))).SecretString;

describe('a secret', () => {
  it('is read by name, ARN and ARN without its ending', async () => {
    const { ARN = '' } = await client.send(
      new CreateSecretCommand({ Name: 'bot/token', SecretString: 'v1' }),
    );
    for (const reference of ['bot/token', ARN, ARN.slice(0, -7)]) expect(await read(reference)).toBe('v1');
  });

  it('gets new versions, and keeps the one before under AWSPREVIOUS', async () => {
    await client.send(new CreateSecretCommand({ Name: 'versions', SecretString: 'v1' }));
    for (const SecretString of ['v2', 'v3']) {
      await client.send(new PutSecretValueCommand({ SecretId: 'versions', SecretString }));
    }
    expect([await read('versions'), await read('versions', 'AWSPREVIOUS')]).toEqual(['v3', 'v2']);
    const { VersionIdsToStages } = await client.send(new DescribeSecretCommand({ SecretId: 'versions' }));
    expect(Object.values(VersionIdsToStages ?? {}).toSorted()).toEqual([['AWSCURRENT'], ['AWSPREVIOUS']]);
  });

  it('takes a repeated request once, and the same token for another value never', async () => {
    await client.send(new CreateSecretCommand({ Name: 'once' }));
    const request = { SecretId: 'once', SecretString: 'v1', ClientRequestToken: 'f'.repeat(32) };
    const { VersionId } = await client.send(new PutSecretValueCommand(request));
    expect((await client.send(new PutSecretValueCommand(request))).VersionId).toBe(VersionId);
    const other = client.send(new PutSecretValueCommand({ ...request, SecretString: 'v2' }));
    await expect(other).rejects.toMatchObject({ name: 'ResourceExistsException' });
    expect(await read('once')).toBe('v1');
  });

  it('survives a restart, in a file for its owner only', async () => {
    await client.send(new CreateSecretCommand({ Name: 'lasting', SecretString: 'v1' }));
    await stop();
    await start();
    expect(await read('lasting')).toBe('v1');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('what it refuses', () => {
  it('a secret that does not exist, and one that has no value yet', async () => {
    await expect(read('nobody')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await client.send(new CreateSecretCommand({ Name: 'empty' }));
    await expect(read('empty')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  it('a name that is taken', async () => {
    await client.send(new CreateSecretCommand({ Name: 'taken', SecretString: 'v1' }));
    const again = client.send(new CreateSecretCommand({ Name: 'taken', SecretString: 'v2' }));
    await expect(again).rejects.toMatchObject({ name: 'ResourceExistsException' });
    expect(await read('taken')).toBe('v1');
  });
});

describe('ensureSecret, for the template runner', () => {
  it('asks a generator once, for ever', async () => {
    const arn = server.ensureSecret('made', () => 'first');
    expect(server.ensureSecret('made', () => 'second')).toBe(arn);
    expect(await read(arn)).toBe('first');
  });

  it('sets a given value, and again when it changes', async () => {
    const arn = server.ensureSecret('given', 'v1');
    server.ensureSecret('given', 'v1');
    expect(server.ensureSecret('given', 'v2')).toBe(arn);
    expect([await read(arn), await read(arn, 'AWSPREVIOUS')]).toEqual(['v2', 'v1']);
  });
});
