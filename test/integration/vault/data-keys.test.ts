import { randomBytes } from 'node:crypto';
import postgres, { type Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseDataKey, MEMBERS_PER_KEY, PREPARE_NEXT_AT } from '../../../lib/vault/choose-data-key.ts';
import { MAX_AGE_MS } from '../../../lib/vault/data-key-cache.ts';
import { promoteNextDataKey } from '../../../lib/vault/data-key-rows.ts';
import type { KeyWrapper } from '../../../lib/vault/key-wrapper.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { openSecret, sealSecret } from '../../../lib/vault/secrets.ts';
import { createVault, type Vault } from '../../../lib/vault/vault.ts';
import { freshDatabase } from '../../setup/database.ts';

const PLACE = { table: 'user_pds_mapping', column: 'pds_private_key', userId: '4711', version: 1 };
const encryptionKey = randomBytes(32).toString('base64');

let database: Awaited<ReturnType<typeof freshDatabase>>;
let owner: Sql;
let clients: Sql[];

beforeEach(async () => {
  database = await freshDatabase();
  owner = postgres(database.ownerUrl, { max: 1 });
  clients = [owner];
});
afterEach(async () => {
  await Promise.all(clients.map((sql) => sql.end()));
  await database.drop();
});

/** A worker process as far as the vault can tell: a database role, a pool of one, a cache of its own. */
function worker(options: { wrapper?: KeyWrapper; environment?: string; now?: () => number } = {}): Vault {
  const sql = postgres(database.workerUrl, { max: 1 });
  clients.push(sql);
  return createVault({ wrapper: createLocalWrapper(encryptionKey), environment: 'test', ...options, sql });
}

/** Counts, or breaks, what goes to the wrapping key. */
function watched(before: (operation: 'generate' | 'unwrap') => Promise<void> | void): KeyWrapper {
  const { keyId, generateDataKey, unwrap } = createLocalWrapper(encryptionKey);
  return {
    keyId,
    async generateDataKey(context) {
      await before('generate');
      return generateDataKey(context);
    },
    async unwrap(wrapped, context) {
      await before('unwrap');
      return unwrap(wrapped, context);
    },
  };
}

async function states(environment = 'test'): Promise<Record<string, string[]>> {
  const rows = await owner<{ id: string; state: string }[]>`
    SELECT id, state FROM pds_data_keys WHERE environment = ${environment} ORDER BY created_at`;
  const idsOf = (state: string) => rows.filter((row) => row.state === state).map(({ id }) => id);
  return { current: idsOf('current'), next: idsOf('next'), retired: idsOf('retired') };
}

async function setMembers(members: number): Promise<void> {
  await owner`UPDATE pds_data_keys SET sealed_members = ${members} WHERE state = 'current'`;
}

describe('chooseDataKey', () => {
  it('makes one first key, however many workers meet there', async () => {
    const workers = Array.from({ length: 4 }, () => worker());
    const ids = await Promise.all(
      workers.flatMap((vault) => Array.from({ length: 5 }, () => chooseDataKey(vault))),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await states()).toEqual({ current: [ids[0]], next: [], retired: [] });
  });

  it('gives each environment keys of its own', async () => {
    const id = await chooseDataKey(worker());
    const other = await chooseDataKey(worker({ environment: 'other' }));
    expect(other).not.toBe(id);
    const sealed = await sealSecret(worker(), id, PLACE, 'secret');
    await expect(openSecret(worker({ environment: 'other' }), PLACE, sealed)).rejects.toMatchObject({
      code: 'DATA_KEY_NOT_FOUND',
    });
  });

  it('makes the next key ahead of need and promotes it when the current one is full', async () => {
    const vault = worker();
    const first = await chooseDataKey(vault);
    await setMembers(PREPARE_NEXT_AT - 2);
    await chooseDataKey(vault);
    expect((await states()).next).toEqual([]);
    await chooseDataKey(vault);
    const [next] = (await states()).next ?? [];
    expect(next).toBeDefined();

    await setMembers(MEMBERS_PER_KEY - 1);
    expect(await chooseDataKey(vault)).toBe(first);
    expect(await states()).toEqual({ current: [next], next: [], retired: [first] });
    expect(await chooseDataKey(vault)).toBe(next);
  });

  it('survives a crowd at the change: everybody gets a key that is kept, and only one is retired', async () => {
    let generated = 0;
    const wrapper = watched((operation) => {
      if (operation === 'generate') generated += 1;
    });
    const workers = Array.from({ length: 4 }, () => worker({ wrapper }));
    await chooseDataKey(worker());
    await setMembers(PREPARE_NEXT_AT - 5);
    const ids = await Promise.all(
      workers.flatMap((vault) => Array.from({ length: 50 }, () => chooseDataKey(vault))),
    );
    const { current = [], next = [], retired = [] } = await states();
    expect([current.length, retired.length]).toEqual([1, 1]);
    expect(next.length).toBeLessThanOrEqual(1);
    expect([...current, ...retired]).toEqual(expect.arrayContaining([...new Set(ids)]));
    // 200 members arrived at once; only each tenth from PREPARE_NEXT_AT on may have made a key.
    expect(generated).toBeLessThanOrEqual(20);
  });

  it('tries again ten members later when the next key could not be made', async () => {
    let broken = true;
    const vault = worker({
      wrapper: watched((operation) => {
        if (operation === 'generate' && broken) throw new Error('KMS is away');
      }),
    });
    await chooseDataKey(worker());
    await setMembers(PREPARE_NEXT_AT - 1);
    await expect(chooseDataKey(vault)).rejects.toThrow('KMS is away');
    broken = false;
    await chooseDataKey(vault);
    expect((await states()).next).toEqual([]);
    await setMembers(PREPARE_NEXT_AT + 9);
    await chooseDataKey(vault);
    expect((await states()).next).toHaveLength(1);
  });

  it('goes on with a full key while there is no next one, and changes as soon as there is', async () => {
    const vault = worker();
    const first = await chooseDataKey(vault);
    await setMembers(MEMBERS_PER_KEY);
    expect(await chooseDataKey(vault)).toBe(first);
    expect(await states()).toEqual({ current: [first], next: [], retired: [] });
    await setMembers(MEMBERS_PER_KEY + 9);
    expect(await chooseDataKey(vault)).toBe(first);
    expect((await states()).retired).toEqual([first]);
  });

  it('counts many who join together, and is not asked again for a key that it has just made', async () => {
    const asked: string[] = [];
    const vault = worker({ wrapper: watched((operation) => void asked.push(operation)) });
    const first = await chooseDataKey(vault, 40);
    expect(asked).toEqual(['generate', 'unwrap']);
    await setMembers(PREPARE_NEXT_AT - 15);
    expect(await chooseDataKey(vault, 40)).toBe(first);
    const [next = ''] = (await states()).next ?? [];
    await setMembers(MEMBERS_PER_KEY - 1);
    expect(await chooseDataKey(vault, 40)).toBe(first);
    expect(await chooseDataKey(vault, 40)).toBe(next);
    await sealSecret(vault, next, PLACE, 'secret');
    expect(asked).toEqual(['generate', 'unwrap', 'generate', 'unwrap']);
  });

  it('asks for no second next key while one waits', async () => {
    let generated = 0;
    const wrapper = watched((operation) => {
      if (operation === 'generate') generated += 1;
    });
    const vault = worker({ wrapper });
    await chooseDataKey(vault);
    for (const members of [PREPARE_NEXT_AT, PREPARE_NEXT_AT + 10, PREPARE_NEXT_AT + 20]) {
      await setMembers(members - 1);
      await chooseDataKey(vault);
    }
    expect(generated).toBe(2);
  });

  it('promotes once: who comes too late, or from another environment, changes nothing', async () => {
    const [vault, other] = [worker(), worker({ environment: 'other' })];
    const [first, foreign] = [await chooseDataKey(vault), await chooseDataKey(other)];
    await setMembers(MEMBERS_PER_KEY - 10 - 1);
    await Promise.all([chooseDataKey(vault), chooseDataKey(other)]);
    await promoteNextDataKey(vault.sql, 'test', first);
    await setMembers(PREPARE_NEXT_AT - 1);
    await chooseDataKey(vault);

    const before = await states();
    expect(before).toMatchObject({ next: [expect.any(String)], retired: [first] });
    await promoteNextDataKey(vault.sql, 'test', first);
    expect(await states()).toEqual(before);
    expect(await states('other')).toMatchObject({ current: [foreign], next: [expect.any(String)] });
  });

  it('stores no key that does not open again', async () => {
    const wrapper = createLocalWrapper(encryptionKey);
    const vault = worker({ wrapper: { ...wrapper, unwrap: async () => new Uint8Array(32) } });
    await expect(chooseDataKey(vault)).rejects.toMatchObject({ code: 'DATA_KEY_UNREADABLE' });
    expect(await states()).toEqual({ current: [], next: [], retired: [] });
  });

  it('asks for keys outside any transaction', async () => {
    const open: number[] = [];
    const wrapper = watched(async () => {
      const [row] = await owner<{ count: number }[]>`
        SELECT count(*)::int FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'`;
      open.push(row?.count ?? -1);
    });
    const vault = worker({ wrapper });
    await chooseDataKey(vault);
    await setMembers(PREPARE_NEXT_AT - 1);
    await chooseDataKey(vault);
    expect(open.length).toBeGreaterThanOrEqual(4);
    expect(new Set(open)).toEqual(new Set([0]));
  });

  it('leaves the key open: sealing in a transaction of a pool of one does not wait for itself', async () => {
    const vault = worker();
    const id = await chooseDataKey(vault);
    const sealed = await vault.sql.begin(() => sealSecret(vault, id, PLACE, 'secret'));
    expect(Buffer.from(await openSecret(vault, PLACE, sealed)).toString()).toBe('secret');
  });
});

describe('opening data keys', () => {
  it('asks the wrapping key once for 200 secrets at the same time, and again after five minutes', async () => {
    const clock = { now: 1_000_000 };
    let unwrapped = 0;
    const id = await chooseDataKey(worker());
    const sealed = await sealSecret(worker(), id, PLACE, 'secret');
    const vault = worker({
      now: () => clock.now,
      wrapper: watched(() => {
        unwrapped += 1;
      }),
    });
    await Promise.all(Array.from({ length: 200 }, () => openSecret(vault, PLACE, sealed)));
    expect(unwrapped).toBe(1);
    clock.now += MAX_AGE_MS;
    await openSecret(vault, PLACE, sealed);
    expect(unwrapped).toBe(2);
  });

  it('opens and seals with a retired key', async () => {
    const id = await chooseDataKey(worker());
    await owner`UPDATE pds_data_keys SET state = 'retired'`;
    const sealed = await sealSecret(worker(), id, PLACE, 'secret');
    expect(Buffer.from(await openSecret(worker(), PLACE, sealed)).toString()).toBe('secret');
  });

  it('says which key is needed and which one is set when the encryption key was replaced', async () => {
    const id = await chooseDataKey(worker());
    const sealed = await sealSecret(worker(), id, PLACE, 'secret');
    const wrapper = createLocalWrapper(randomBytes(32).toString('base64'));
    await expect(openSecret(worker({ wrapper }), PLACE, sealed)).rejects.toMatchObject({
      code: 'DATA_KEY_UNREADABLE',
      message: expect.stringContaining(createLocalWrapper(encryptionKey).keyId),
    });
  });

  it('does not open a data key that was copied over another', async () => {
    const [mine, theirs] = [
      await chooseDataKey(worker()),
      await chooseDataKey(worker({ environment: 'other' })),
    ];
    const sealed = await sealSecret(worker(), mine, PLACE, 'secret');
    await owner`
      UPDATE pds_data_keys SET wrapper_key_id = 'elsewhere',
        wrapped_key = (SELECT wrapped_key FROM pds_data_keys WHERE id = ${theirs})
      WHERE id = ${mine}`;
    await expect(openSecret(worker(), PLACE, sealed)).rejects.toMatchObject({ code: 'DATA_KEY_UNREADABLE' });
  });
});
