import { randomBytes, randomInt } from 'node:crypto';
import fc from 'fast-check';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Did, Handle } from '../../../lib/brands.ts';
import { newDid } from '../../../lib/identity/did.ts';
import { handleCandidates } from '../../../lib/identity/handle.ts';
import {
  findIdentityByHost,
  replaceHandleHostname,
  reserveHostnames,
} from '../../../lib/identity/hostnames.ts';
import { newMemberKey } from '../../../lib/identity/keys.ts';
import { freshDatabase } from '../../setup/database.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
let owner: Sql;
let worker: Sql;
let api: Sql;

beforeAll(async () => {
  database = await freshDatabase();
  owner = postgres(database.ownerUrl, { max: 1 });
  worker = postgres(database.workerUrl, { max: 20 });
  api = postgres(database.apiUrl, { max: 1 });
});
afterAll(async () => {
  await Promise.all([owner, worker, api].map((sql) => sql?.end()));
  await database?.drop();
});

const domain = 'pnptv.test';
const settledAt = new Date('2026-05-01T12:00:00Z');
let memberCount = 0;
const handleOf = (name: string) => `${name}.${domain}` as Handle;
const didOf = (name: string) => newDid({ handle: handleOf(name), domain, randomBytes });

async function newMember(): Promise<string> {
  memberCount += 1;
  const userId = String(7_000_000 + memberCount);
  await owner`INSERT INTO users ${owner({ id: userId })}`;
  return userId;
}

async function newMembers(count: number): Promise<string[]> {
  const members: string[] = [];
  while (members.length < count) members.push(await newMember());
  return members;
}

/** A member whose names are reserved and whose identity is published, as the saga leaves it. */
async function newIdentity(name: string, columns: Record<string, unknown> = {}) {
  const userId = await newMember();
  const identity = { userId, did: didOf(name), handle: handleOf(name) };
  expect(await worker.begin((tx) => reserveHostnames(tx, identity))).toBe(true);
  await owner`INSERT INTO user_pds_mapping ${owner({
    user_id: userId,
    pds_did: identity.did,
    pds_handle: identity.handle,
    pds_endpoint: 'https://pds.pnptv.test',
    atproto_public_key: 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme',
    document_settles_at: settledAt,
    ...columns,
  })}`;
  return { ...identity, host: identity.did.slice('did:web:'.length) };
}

async function newKey(userId: string, keyId: string, state: string): Promise<string> {
  const { publicKeyMultibase } = newMemberKey();
  const row = { user_id: userId, key_id: keyId, public_key_multibase: publicKeyMultibase, state };
  await owner`INSERT INTO pds_verification_keys ${owner(row)}`;
  return publicKeyMultibase;
}

const namesOf = async (userId: string) =>
  (await owner`SELECT hostname FROM hostnames WHERE user_id = ${userId} ORDER BY kind, hostname`).map(
    ({ hostname }) => hostname,
  );

beforeEach(async () => {
  await owner`TRUNCATE hostnames, pds_verification_keys, user_pds_mapping CASCADE`;
});

describe('reserveHostnames', () => {
  it('takes both names for the member', async () => {
    const { userId, handle, host } = await newIdentity('alice');
    expect(await namesOf(userId)).toEqual([host, handle]);
  });

  it('takes neither when the handle is taken, and the transaction goes on', async () => {
    await newIdentity('alice');
    const userId = await newMember();
    await worker.begin(async (tx) => {
      expect(await reserveHostnames(tx, { userId, did: didOf('alice'), handle: handleOf('alice') })).toBe(
        false,
      );
      const other = { userId, did: didOf('alice-2'), handle: handleOf('alice-2') };
      expect(await reserveHostnames(tx, other)).toBe(true);
    });
    expect(await namesOf(userId)).toEqual([expect.stringMatching(/^alice-2-/), 'alice-2.pnptv.test']);
  });

  it('takes neither when the DID’s name is taken, by another DID or as a handle', async () => {
    const { did } = await newIdentity('alice');
    const userId = await newMember();
    const same = { userId, did, handle: handleOf('bob') };
    expect(await worker.begin((tx) => reserveHostnames(tx, same))).toBe(false);

    await newIdentity('carol-aaaaaa');
    const crossing = { userId, did: 'did:web:carol-aaaaaa.pnptv.test' as Did, handle: handleOf('carol') };
    expect(await worker.begin((tx) => reserveHostnames(tx, crossing))).toBe(false);
    expect(await namesOf(userId)).toEqual([]);
  });

  it('keeps nothing of a transaction that fails afterwards', async () => {
    const userId = await newMember();
    const names = { userId, did: didOf('alice'), handle: handleOf('alice') };
    const failing = worker.begin(async (tx) => {
      await reserveHostnames(tx, names);
      throw new Error('crash');
    });
    await expect(failing).rejects.toThrow('crash');
    expect(await namesOf(userId)).toEqual([]);
  });

  it('reports a database error instead of calling the name taken', async () => {
    const names = { userId: 'nobody', did: didOf('alice'), handle: handleOf('alice') };
    await expect(worker.begin((tx) => reserveHostnames(tx, names))).rejects.toThrow(/foreign key/);
  });

  it('never issues a DID’s name again, not even after its member is gone', async () => {
    const { userId, did } = await newIdentity('alice');
    await owner`DELETE FROM user_pds_mapping WHERE user_id = ${userId}`;
    await owner`DELETE FROM users WHERE id = ${userId}`;
    const heir = { userId: await newMember(), did, handle: handleOf('heir') };
    expect(await worker.begin((tx) => reserveHostnames(tx, heir))).toBe(false);
  });

  it('gives fifty members who wish for one name at once fifty different identities', async () => {
    const members = await newMembers(50);
    const identities = await Promise.all(
      members.map((userId) => worker.begin((tx) => settle(tx, userId, 'alice'))),
    );
    expect(new Set(identities.map(({ handle }) => handle)).size).toBe(50);
    expect(new Set(identities.map(({ did }) => did)).size).toBe(50);
    expect(identities.map(({ handle }) => handle)).toContain('alice.pnptv.test');
    for (const [i, userId] of members.entries()) {
      expect(await namesOf(userId)).toEqual([identities[i]?.did.slice(8), identities[i]?.handle]);
    }
  }, 60_000);

  it('gives no name to two members, whatever they wish for and whoever fails in between', async () => {
    const wish = fc.record({
      name: fc.constantFrom('ann', 'ann_2', 'ann_3', 'bob', ''),
      fails: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(wish, { minLength: 2, maxLength: 12 }), async (wishes) => {
        await owner`TRUNCATE hostnames`;
        const members = await newMembers(wishes.length);
        const outcomes = await Promise.allSettled(
          wishes.map(({ name, fails }, i) =>
            worker.begin(async (tx) => {
              const identity = await settle(tx, members[i] ?? '', name);
              if (fails) throw new Error('crash');
              return identity;
            }),
          ),
        );
        const survivors = outcomes.flatMap((outcome, i) =>
          outcome.status === 'fulfilled' ? [{ ...outcome.value, userId: members[i] }] : [],
        );
        expect(survivors).toHaveLength(wishes.filter(({ fails }) => !fails).length);
        const rows = await owner`SELECT hostname, user_id FROM hostnames ORDER BY hostname`;
        const promised = survivors.flatMap(({ did, handle, userId }) => [
          { hostname: did.slice(8), user_id: userId },
          { hostname: handle, user_id: userId },
        ]);
        expect([...rows]).toEqual(promised.sort((a, b) => (a.hostname < b.hostname ? -1 : 1)));
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});

describe('replaceHandleHostname', () => {
  const replace = (args: Parameters<typeof replaceHandleHostname>[1]) =>
    worker.begin((tx) => replaceHandleHostname(tx, args));

  it('moves the member to the new handle and keeps the refused one from everybody', async () => {
    const { userId, did, handle } = await newIdentity('alice');
    expect(await replace({ userId, did, refused: handle, handle: handleOf('alice-2') })).toBe(true);
    expect(await findIdentityByHost(api, 'alice-2.pnptv.test')).toMatchObject({ kind: 'handle', did });
    expect(await findIdentityByHost(api, 'alice.pnptv.test')).toBeUndefined();

    const other = { userId: await newMember(), did: didOf('alice'), handle };
    expect(await worker.begin((tx) => reserveHostnames(tx, other))).toBe(false);
  });

  it('changes nothing when the new handle is taken', async () => {
    await newIdentity('alice-2');
    const { userId, did, handle } = await newIdentity('alice');
    expect(await replace({ userId, did, refused: handle, handle: handleOf('alice-2') })).toBe(false);
    expect(await findIdentityByHost(api, handle)).toMatchObject({ did });
  });

  it('refuses to give up the handle of somebody else', async () => {
    const alice = await newIdentity('alice');
    const bob = await newIdentity('bob');
    const theft = { userId: bob.userId, did: bob.did, refused: alice.handle, handle: handleOf('bob-2') };
    await expect(replace(theft)).rejects.toMatchObject({ code: 'HOSTNAME_NOT_HELD' });
    expect(await findIdentityByHost(api, alice.handle)).toMatchObject({ did: alice.did });
    expect(await findIdentityByHost(api, 'bob-2.pnptv.test')).toBeUndefined();
  });
});

describe('findIdentityByHost', () => {
  it('finds on both hosts what the well-known paths need, member keys in their order', async () => {
    const { userId, did, handle, host } = await newIdentity('alice');
    const retiring = await newKey(userId, 'pnptv-1', 'retiring');
    await newKey(userId, 'pnptv-2', 'revoked');
    const active = await newKey(userId, 'pnptv-3', 'active');
    const identity = {
      did,
      handle,
      atprotoKey: 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme',
      memberKeys: [
        { id: 'pnptv-1', publicKeyMultibase: retiring },
        { id: 'pnptv-3', publicKeyMultibase: active },
      ],
      serviceEndpoint: 'https://pds.pnptv.test',
      settlesAt: settledAt,
    };
    expect(await findIdentityByHost(api, host)).toEqual({ kind: 'did', ...identity });
    expect(await findIdentityByHost(api, handle)).toEqual({ kind: 'handle', ...identity });
  });

  it('finds an identity that has neither PDS nor own keys yet', async () => {
    const { host } = await newIdentity('alice', { pds_endpoint: null, document_settles_at: null });
    expect(await findIdentityByHost(api, host)).toMatchObject({
      serviceEndpoint: null,
      settlesAt: null,
      memberKeys: [],
    });
  });

  it('takes the Host header as it comes', async () => {
    const { did } = await newIdentity('alice');
    for (const host of [
      'ALICE.pnptv.TEST',
      'alice.pnptv.test:3001',
      'alice.pnptv.test.',
      'alice.pnptv.test.:443',
    ]) {
      expect(await findIdentityByHost(api, host)).toMatchObject({ did });
    }
  });

  it('still finds an identity that was revoked: its document must not vanish', async () => {
    const { host, did } = await newIdentity('alice', { status: 'revoked' });
    expect(await findIdentityByHost(api, host)).toMatchObject({ did });
  });

  it('finds nothing before the key is chosen', async () => {
    const { host } = await newIdentity('alice', { atproto_public_key: null });
    expect(await findIdentityByHost(api, host)).toBeUndefined();
  });

  it('does not show a later identity of the member at the host of an earlier DID', async () => {
    const { userId, host, handle } = await newIdentity('alice');
    await owner`UPDATE user_pds_mapping SET pds_did = ${didOf('alice')} WHERE user_id = ${userId}`;
    expect(await findIdentityByHost(api, host)).toBeUndefined();
    expect(await findIdentityByHost(api, handle)).toBeUndefined();
  });

  it.each([
    'nobody.pnptv.test',
    'pnptv.test',
    'localhost',
    '127.0.0.1',
    '',
    undefined,
    "'; DROP TABLE hostnames; --",
  ])('finds nothing at %j', async (host) => {
    await newIdentity('alice');
    expect(await findIdentityByHost(api, host)).toBeUndefined();
  });
});

/** What the saga does: the first candidate that is free. */
async function settle(tx: Parameters<typeof reserveHostnames>[0], userId: string, username: string) {
  const wish = { username, strategy: 'username', domain, randomInt } as const;
  for (const handle of handleCandidates(wish)) {
    const did = newDid({ handle, domain, randomBytes });
    if (await reserveHostnames(tx, { userId, did, handle })) return { did, handle };
  }
  throw new Error('candidates have no end');
}
