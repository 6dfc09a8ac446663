import { randomBytes, randomUUID } from 'node:crypto';
import { KMSClient } from '@aws-sdk/client-kms';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKms } from '../../../infra/local/aws/kms.ts';
import { chooseDataKey } from '../../../lib/vault/choose-data-key.ts';
import type { KeyWrapper } from '../../../lib/vault/key-wrapper.ts';
import { createKmsWrapper } from '../../../lib/vault/kms-wrapper.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { openSecret, sealSecret } from '../../../lib/vault/secrets.ts';
import { createVault } from '../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { itKeepsSecrets, type Sealing } from '../../unit/vault/sealing-promises.ts';

let database: TestDatabase;
let sql: Sql;
let kms: Awaited<ReturnType<typeof startKms>>;
beforeAll(async () => {
  [database, kms] = await Promise.all([freshDatabase(), startKms()]);
  sql = postgres(database.workerUrl, { max: 2 });
});
afterAll(async () => {
  await sql.end();
  await Promise.all([database.drop(), kms.stop()]);
});

/** Every request that this client sends; the SDK's own way to look at them. */
function countedClient(): { client: KMSClient; requests: string[] } {
  const requests: string[] = [];
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new KMSClient({ endpoint: kms.url, region: 'us-east-1', credentials });
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        requests.push(String(commandName));
        return next(args);
      },
    { step: 'initialize' },
  );
  return { client, requests };
}

const encryptionKey = randomBytes(32).toString('base64');
const wrappers: [string, () => KeyWrapper][] = [
  ['KMS', () => createKmsWrapper(kms.ensureKey('0b8a1a5e-vault'), countedClient().client)],
  ['PDS_ENCRYPTION_KEY', () => createLocalWrapper(encryptionKey)],
];

describe.each(wrappers)('secrets under %s', (title, makeWrapper) => {
  let sealing: Sealing;
  beforeAll(async () => {
    const environment = title;
    const vault = createVault({ sql, wrapper: makeWrapper(), environment });
    const otherKeyId = await chooseDataKey(vault);
    await sql`UPDATE pds_data_keys SET state = 'retired' WHERE id = ${otherKeyId}`;
    sealing = { vault, keyId: await chooseDataKey(vault), otherKeyId };
  });

  itKeepsSecrets(() => sealing);

  it('open in another process', async () => {
    const place = { table: 't', column: 'c', userId: randomUUID(), version: 1 };
    const sealed = await sealSecret(sealing.vault, sealing.keyId, place, 'secret');
    const other = createVault({ sql, wrapper: makeWrapper(), environment: title });
    expect(Buffer.from(await openSecret(other, place, sealed)).toString()).toBe('secret');
  });
});

describe('a vault over KMS', () => {
  it('opens 200 secrets of one data key, all at once, with one Decrypt', async () => {
    const keyId = kms.ensureKey('0b8a1a5e-crowd');
    const environment = 'crowd';
    const first = createVault({ sql, wrapper: createKmsWrapper(keyId, countedClient().client), environment });
    const dataKeyId = await chooseDataKey(first);
    const placeOf = (userId: string) => ({ table: 't', column: 'c', userId, version: 1 });
    const members = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const userId = String(i);
        return { userId, sealed: await sealSecret(first, dataKeyId, placeOf(userId), userId) };
      }),
    );

    const { client, requests } = countedClient();
    const vault = createVault({ sql, wrapper: createKmsWrapper(keyId, client), environment });
    const opened = await Promise.all(
      members.map(({ userId, sealed }) => openSecret(vault, placeOf(userId), sealed)),
    );
    expect(opened.map((secret) => Buffer.from(secret).toString())).toEqual(
      members.map(({ userId }) => userId),
    );
    expect(requests).toEqual(['DecryptCommand']);
  });
});
