import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AwsActions, AwsError, startAwsJson } from '../../../infra/local/aws/aws-json.ts';
import { kmsActions } from '../../../infra/local/aws/kms.ts';
import { openKmsKeys } from '../../../infra/local/aws/kms-keys.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { chooseDataKey } from '../../../lib/vault/choose-data-key.ts';
import type { KeyRewrapper, KeyWrapper } from '../../../lib/vault/key-wrapper.ts';
import { createKmsWrapper } from '../../../lib/vault/kms-wrapper.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { rewrapDataKeys } from '../../../lib/vault/rewrap.ts';
import type { Sealed } from '../../../lib/vault/sealed.ts';
import { openSecret, sealSecret } from '../../../lib/vault/secrets.ts';
import { createVault, type Vault } from '../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const COMMAND = path.resolve(import.meta.dirname, '../../../infra/local/rewrap.ts');
const ENVIRONMENT = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
const PLACE = { table: 'user_pds_mapping', column: 'account_password_sealed', userId: '4711', version: 1 };
const MEMBERS = 5;

const keys = openKmsKeys();
const actions = kmsActions(keys);
/** What KMS does before it encrypts. */
let beforeEncrypt: () => Promise<void> | void = () => {};
let kms: Awaited<ReturnType<typeof startAwsJson>>;
let database: TestDatabase;
let owner: Sql;
const clients: Sql[] = [];

beforeAll(async () => {
  const encrypt = actions['TrentService.Encrypt'] as AwsActions[string];
  kms = await startAwsJson({
    ...actions,
    'TrentService.Encrypt': async (input) => {
      await beforeEncrypt();
      return encrypt(input);
    },
  });
});
afterAll(() => kms.stop());
beforeEach(async () => {
  beforeEncrypt = () => {};
  database = await freshDatabase();
  owner = open(database.ownerUrl);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((sql) => sql.end()));
  await database.drop();
});

function open(url: string): Sql {
  const sql = connect(url);
  clients.push(sql);
  return sql;
}

const access = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
const kmsClient = () => new KMSClient({ ...access, endpoint: kms.url, maxAttempts: 1 });
const newKmsKey = () => createKmsWrapper(keys.ensureKey(randomUUID()), kmsClient());
const newLocalKey = () => createLocalWrapper(randomBytes(32).toString('base64'));

/** A function that has just started, with these keys. */
function vaultWith(wrapper: KeyWrapper, oldWrappers: readonly KeyWrapper[] = []): Vault {
  return createVault({ sql: open(database.workerUrl), wrapper, oldWrappers, environment: 'test' });
}

type Kept = { secret: string; sealed: Sealed; dataKeyId: string };
/** Members, each with a data key of his own below `wrapper`. */
async function seal(wrapper: KeyWrapper, members = MEMBERS): Promise<Kept[]> {
  const vault = vaultWith(wrapper);
  const kept: Kept[] = [];
  for (let n = 0; n < members; n += 1) {
    const dataKeyId = await chooseDataKey(vault);
    const secret = randomUUID();
    kept.push({ secret, dataKeyId, sealed: await sealSecret(vault, dataKeyId, PLACE, secret) });
    await owner`UPDATE pds_data_keys SET state = 'retired'`;
  }
  return kept;
}

async function opens(vault: Vault, { sealed, secret }: Kept): Promise<boolean | string> {
  return openSecret(vault, PLACE, sealed).then(
    (bytes) => Buffer.from(bytes).toString() === secret,
    (error) => error.code,
  );
}
async function expectAllOpen(vault: Vault, kept: readonly Kept[]) {
  for (const each of kept) expect(await opens(vault, each)).toBe(true);
}
const rows = () => owner<{ id: string; wrapped_key: Uint8Array; wrapper_key_id: string }[]>`
  SELECT id, wrapped_key, wrapper_key_id FROM pds_data_keys ORDER BY created_at`;
const below = async ({ keyId }: KeyWrapper) =>
  (await rows()).filter((row) => row.wrapper_key_id === keyId).length;
const rewrap = (wrapper: KeyRewrapper, ...oldWrappers: KeyRewrapper[]) =>
  rewrapDataKeys({ sql: open(database.ownerUrl), environment: 'test', wrapper, oldWrappers });
const moved = (count: number) => ({ moved: count, already: 0, unopened: [] });

/** Changes a row as nobody may, not even by mistake. */
async function tamper(id: string | undefined, change: Record<string, Uint8Array | string>) {
  await owner.begin(async (tx) => {
    await tx`ALTER TABLE pds_data_keys DISABLE TRIGGER rewrapped`;
    await tx`UPDATE pds_data_keys SET ${tx(change)} WHERE id = ${id ?? ''}`;
    await tx`ALTER TABLE pds_data_keys ENABLE ALWAYS TRIGGER rewrapped`;
  });
}

describe('data keys move', () => {
  it.each([
    ['from one KMS key to another', newKmsKey, newKmsKey],
    ['from one PDS_ENCRYPTION_KEY to another', newLocalKey, newLocalKey],
    ['from PDS_ENCRYPTION_KEY to KMS', newLocalKey, newKmsKey],
    ['from KMS to PDS_ENCRYPTION_KEY', newKmsKey, newLocalKey],
  ])('%s, and every secret opens before, meanwhile and afterwards', async (_, makeOld, makeNew) => {
    const [old, next] = [makeOld(), makeNew()];
    const kept = await seal(old);
    let checked = 0;
    const watched: KeyRewrapper = {
      ...next,
      async wrap(dataKey, context) {
        checked += 1;
        // Functions that were deployed with the new key, and those that were not yet: each has what is not moved yet.
        await expectAllOpen(vaultWith(next, [old]), kept);
        await expectAllOpen(vaultWith(old), kept.slice(checked - 1));
        return next.wrap(dataKey, context);
      },
    };
    await expectAllOpen(vaultWith(next, [old]), kept);
    expect(await rewrap(watched, old)).toEqual(moved(MEMBERS));
    expect(checked).toBe(MEMBERS);
    await expectAllOpen(vaultWith(next), kept);
    await expectAllOpen(vaultWith(next, [old]), kept);
    for (const each of kept) expect(await opens(vaultWith(old), each)).toBe('DATA_KEY_UNREADABLE');
    expect(await rewrap(next, old)).toEqual({ moved: 0, already: MEMBERS, unopened: [] });
  });

  it('also those that a function makes below the old key meanwhile', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    const kept = await seal(old, 1);
    beforeEncrypt = async () => {
      beforeEncrypt = () => {};
      kept.push(...(await seal(old, 2)));
    };
    expect(await rewrap(next, old)).toEqual(moved(3));
    await expectAllOpen(vaultWith(next), kept);
  });

  it('once, when two move them at the same time', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    const kept = await seal(old);
    const results = await Promise.all([rewrap(next, old), rewrap(next, old), rewrap(next, old)]);
    expect(results.reduce((sum, result) => sum + result.moved, 0)).toBe(MEMBERS);
    for (const result of results) {
      expect(result.moved + result.already).toBe(MEMBERS);
      expect(result.unopened).toEqual([]);
    }
    await expectAllOpen(vaultWith(next), kept);
  });

  it('of this environment alone', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    await chooseDataKey(createVault({ sql: open(database.workerUrl), wrapper: old, environment: 'other' }));
    expect(await rewrap(next, old)).toEqual(moved(0));
    expect(await below(old)).toBe(1);
  });

  it('nowhere when the new key is the old one by another name: its id or its ARN', async () => {
    const id = randomUUID();
    const arn = createKmsWrapper(keys.ensureKey(id), kmsClient());
    const kept = await seal(createKmsWrapper(id, kmsClient()), 1);
    await expectAllOpen(vaultWith(arn), kept);
    expect(await rewrap(arn)).toEqual({ moved: 0, already: 1, unopened: [] });
  });
});

describe('a data key that does not open', () => {
  it('stays as it is, is named with the reason, and does not keep the others', async () => {
    const [old, next, stranger] = [newKmsKey(), newKmsKey(), newKmsKey()];
    const kept = await seal(old, 5);
    const [changed, copied, renamed, foreign] = await rows();
    const bytes = Uint8Array.from(changed?.wrapped_key ?? []);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await tamper(changed?.id, { wrapped_key: bytes });
    await tamper(copied?.id, { wrapped_key: renamed?.wrapped_key ?? '' });
    await tamper(renamed?.id, { wrapper_key_id: next.keyId });
    await tamper(foreign?.id, { wrapper_key_id: stranger.keyId });
    const before = await rows();
    const { unopened, ...counts } = await rewrap(next, old);
    expect(counts).toEqual({ moved: 1, already: 0 });
    expect(unopened).toEqual([
      { dataKeyId: changed?.id, reason: expect.stringContaining('does not open') },
      { dataKeyId: copied?.id, reason: expect.stringContaining('does not open') },
      { dataKeyId: renamed?.id, reason: expect.stringContaining(next.keyId) },
      { dataKeyId: foreign?.id, reason: expect.stringContaining('which the settings do not name') },
    ]);
    expect((await rows()).slice(0, 4)).toEqual(before.slice(0, 4));
    // Nor does any function take a key for the one that the row names.
    for (const each of kept.slice(0, 4))
      expect(await opens(vaultWith(next, [old]), each)).toBe('DATA_KEY_UNREADABLE');
    expect(await opens(vaultWith(next), kept[4] as Kept)).toBe(true);
  });

  it('is not replaced by one that the new key does not give back', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    const kept = await seal(old, 1);
    const liar = { ...next, unwrap: async () => new Uint8Array(32) };
    await expect(rewrap(liar, old)).rejects.toMatchObject({ code: 'DATA_KEY_UNREADABLE' });
    expect(await below(old)).toBe(1);
    await expectAllOpen(vaultWith(next, [old]), kept);
  });
});

describe('npm run rewrap', () => {
  const start = (settings: Record<string, string | undefined>, url = database.ownerUrl) =>
    spawn(process.execPath, [COMMAND, '--database', url], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ...ENVIRONMENT,
        AWS_ENDPOINT_URL_KMS: kms.url,
        PDS_ENVIRONMENT: 'test',
        ...settings,
      },
    });
  async function run(...args: Parameters<typeof start>): Promise<{ code: number; output: string }> {
    const child = start(...args);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const [code] = await once(child, 'close');
    return { code, output };
  }
  const pair = (old: KeyWrapper, next: KeyWrapper) => ({
    PDS_KMS_KEY_ID: next.keyId,
    PDS_KMS_OLD_KEY_IDS: old.keyId,
  });

  it('goes on where it was killed, and every secret opens in between', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    const kept = await seal(old);
    const reached = Promise.withResolvers<void>();
    let count = 0;
    beforeEncrypt = () => {
      count += 1;
      if (count < 3) return;
      reached.resolve();
      return new Promise(() => {});
    };
    const child = start(pair(old, next));
    await reached.promise;
    child.kill('SIGKILL');
    await once(child, 'close');
    beforeEncrypt = () => {};
    expect([await below(next), await below(old)]).toEqual([2, 3]);
    await expectAllOpen(vaultWith(next, [old]), kept);
    expect(await run(pair(old, next))).toEqual({
      code: 0,
      output: 'Moved: 3. There already: 2. Not opened, and left as they are: 0.\n',
    });
    await expectAllOpen(vaultWith(next), kept);
    await kmsClient().send(new DisableKeyCommand({ KeyId: old.keyId }));
    await expectAllOpen(vaultWith(next), kept);
  });

  it('moves from PDS_OLD_ENCRYPTION_KEYS to KMS, and shows no key', async () => {
    const oldKey = randomBytes(32).toString('base64');
    const next = newKmsKey();
    const kept = await seal(createLocalWrapper(oldKey), 2);
    const settings = { PDS_KMS_KEY_ID: next.keyId, PDS_OLD_ENCRYPTION_KEYS: oldKey };
    const { code, output } = await run(settings);
    expect([code, output]).toEqual([0, expect.stringContaining('Moved: 2.')]);
    expect(output).not.toContain(oldKey);
    await expectAllOpen(vaultWith(next), kept);
  });

  it('ends with 1 and changes nothing when the old key is another one, or disabled', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    const kept = await seal(old, 2);
    const other = await run({ PDS_KMS_KEY_ID: next.keyId, PDS_KMS_OLD_KEY_IDS: randomUUID() });
    expect([other.code, other.output]).toEqual([1, expect.stringContaining('settings do not name')]);
    await kmsClient().send(new DisableKeyCommand({ KeyId: old.keyId }));
    const disabled = await run(pair(old, next));
    expect([disabled.code, disabled.output]).toEqual([1, expect.stringContaining('DisabledException')]);
    expect(disabled.output).toContain('Not opened, and left as they are: 2.');
    expect(await below(old)).toBe(2);
    keys.change(keys.find(old.keyId), { state: 'Enabled' });
    await expectAllOpen(vaultWith(next, [old]), kept);
  });

  it('ends with 2 and says why when the new key refuses, KMS is away, or it is not the owner who asks', async () => {
    const [old, next] = [newKmsKey(), newKmsKey()];
    await seal(old, 2);
    beforeEncrypt = () => {
      throw new AwsError('AccessDeniedException', 'not authorized to perform: kms:Encrypt', 400);
    };
    const refused = await run(pair(old, next));
    expect([refused.code, refused.output]).toEqual([2, expect.stringContaining('AccessDeniedException')]);
    beforeEncrypt = () => {};
    const away = await run({ ...pair(old, next), AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:9' });
    expect([away.code, away.output]).toEqual([2, expect.stringContaining('Try again later')]);
    const worker = await run(pair(old, next), database.workerUrl);
    expect([worker.code, worker.output]).toEqual([2, expect.stringContaining('permission denied')]);
    const nothing = await run({});
    expect([nothing.code, nothing.output]).toEqual([2, expect.stringContaining('PDS_KMS_KEY_ID')]);
    expect(await below(old)).toBe(2);
  });
});
