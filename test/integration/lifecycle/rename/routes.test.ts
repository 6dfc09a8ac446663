import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Handle } from '../../../../lib/brands.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import type { Contract } from '../../../../lib/http/contract.ts';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import { didHost } from '../../../../lib/identity/did.ts';
import { reactivateIdentity, renameHandle, revokeIdentity } from '../../../../lib/lifecycle/api.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault, type Vault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { steppedUp } from '../../auth/stepped-up.ts';
import { call, ENCRYPTION_KEY, logIn, newcomer, setEnvironment } from '../../http/app.ts';
import { giveIdentity } from '../active-identity.ts';

const DOMAIN = 'pnptv.test';

let database: TestDatabase;
let db: Sql;
let vault: Vault;
let routes: Record<'rename' | 'revoke' | 'reactivate', ApiHandler>;
beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database, { PDS_ADMIN_DID: `did:web:chief.${DOMAIN}` });
  db = connect(database.superuserUrl, { max: 2 });
  vault = createVault({ sql: db, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
  routes = {
    rename: (await import('../../../../functions/lifecycle/rename-handle.ts')).handler,
    revoke: (await import('../../../../functions/lifecycle/revoke-identity.ts')).handler,
    reactivate: (await import('../../../../functions/lifecycle/reactivate-identity.ts')).handler,
  };
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

let member: { id: string; cookie: string; did: string; handle: string };
beforeEach(async () => {
  await db`DELETE FROM rate_limits`;
  const user = newcomer();
  const cookie = await logIn(user);
  member = { id: String(user.id), cookie, ...(await giveIdentity({ sql: db, vault }, String(user.id))) };
  await ownHandle(member.handle);
});

const ownHandle = (hostname: string, columns: Record<string, unknown> = {}) =>
  db`INSERT INTO hostnames ${db({ hostname, kind: 'handle', user_id: member.id, did: member.did, ...columns })}`;

/** As if he had just shown his second factor for this. */
const confirm = ({ operationId }: Contract, target: string | null = null) =>
  steppedUp(db, member.id, operationId, target);
const unused = async () =>
  (await db`SELECT FROM step_ups WHERE user_id = ${member.id} AND used_at IS NULL`).length;
const changes = () =>
  db<
    { id: number; kind: string; wish: object }[]
  >`SELECT id, kind, wish FROM pds_changes WHERE user_id = ${member.id} ORDER BY id`;
const end = () =>
  db`UPDATE pds_changes SET ended_at = now(), outcome = 'done' WHERE user_id = ${member.id} AND ended_at IS NULL`;

async function rename(handle: string) {
  await confirm(renameHandle, handle);
  return call(routes.rename, renameHandle, { cookie: member.cookie, body: { handle } });
}

describe('asking for another handle', () => {
  it.each([
    ['alice2', 'alice2'],
    [`alice3.${DOMAIN}`, 'alice3'],
    [`@Alice4.PNPTV.test`, 'alice4'],
    ['@a-b', 'a-b'],
  ])('takes %s', async (wish, label) => {
    const { status, data } = await rename(wish);
    expect([status, data]).toEqual([
      200,
      { change_id: expect.any(Number), pds_handle: `@${label}.${DOMAIN}` },
    ]);
    expect(await changes()).toEqual([
      { id: data.change_id, kind: 'rename', wish: { handle: `${label}.${DOMAIN}` } },
    ]);
  });

  it.each([
    ['ab', 'HANDLE_INVALID'],
    ['a'.repeat(19), 'HANDLE_INVALID'],
    ['12345', 'HANDLE_INVALID'],
    ['a--b', 'HANDLE_INVALID'],
    ['xn--abc', 'HANDLE_INVALID'],
    ['-abc', 'HANDLE_INVALID'],
    ['a.b', 'HANDLE_INVALID'],
    ['alice.example.org', 'HANDLE_INVALID'],
    [DOMAIN, 'HANDLE_INVALID'],
    [`a.b.${DOMAIN}`, 'HANDLE_INVALID'],
    ['www', 'HANDLE_RESERVED'],
    ['pnptv-support', 'HANDLE_RESERVED'],
    ['ad-min', 'HANDLE_RESERVED'],
    ['chief', 'HANDLE_RESERVED'],
  ])('refuses %s as %s', async (wish, code) => {
    const { error } = await rename(wish);
    expect(error).toMatchObject({ code, ...(code.endsWith('INVALID') && { fields: ['handle'] }) });
    expect(await changes()).toEqual([]);
  });

  // The first letter of the first is Cyrillic.
  it.each(['аlice', 'alice_2', '@@alice', ''])('does not even read %j', async (handle) => {
    const { error } = await call(routes.rename, renameHandle, { cookie: member.cookie, body: { handle } });
    expect(error).toMatchObject({ code: 'INPUT_INVALID', fields: ['handle'] });
    expect(await changes()).toEqual([]);
  });

  it('refuses what somebody else has or had until lately, and what he has, and keeps the second factor good', async () => {
    const other = newcomer();
    await logIn(other);
    const theirs = (label: string, columns: Record<string, unknown> = {}) =>
      ownHandle(`${label}.${DOMAIN}`, { user_id: String(other.id), did: 'did:web:other.test', ...columns });
    const released = { released_at: new Date(), free_at: new Date(Date.now() + 86_400_000) };
    await theirs('taken');
    await theirs('given-up', released);
    await theirs('bob-abc234', { kind: 'did' });
    await theirs('refused', { kind: 'reserved', released_at: new Date() });
    await theirs('kept', { kind: 'reserved', user_id: null, did: null });
    await ownHandle(didHost(member.did), { kind: 'did' });
    for (const [wish, code] of [
      ['taken', 'HANDLE_TAKEN'],
      ['bob-abc234', 'HANDLE_TAKEN'],
      ['refused', 'HANDLE_TAKEN'],
      ['kept', 'HANDLE_TAKEN'],
      [didHost(member.did), 'HANDLE_TAKEN'],
      ['given-up', 'HANDLE_GIVEN_UP'],
      [member.handle, 'HANDLE_UNCHANGED'],
    ] as const) {
      const { error } = await rename(wish);
      expect([wish, error?.code]).toEqual([wish, code]);
    }
    expect(await changes()).toEqual([]);
    expect(await unused()).toBe(7);
  });

  it('takes what he gave up himself, also when he may give up no more', async () => {
    const released = { released_at: new Date(), free_at: new Date(Date.now() + 86_400_000) };
    for (let n = 0; n < 10; n += 1) await ownHandle(`before${n}x.${DOMAIN}`, released);
    expect((await rename('one-more')).error).toMatchObject({ code: 'HANDLES_TOO_MANY' });
    expect((await rename('before3x')).status).toBe(200);
  });

  it('is answered again by whoever got no answer, also when the worker has begun; another wish waits', async () => {
    const first = await rename('alice5');
    await ownHandle(`alice5.${DOMAIN}`);
    expect((await rename('alice5')).data).toEqual(first.data);
    expect((await rename('alice6')).error).toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    expect(await changes()).toHaveLength(1);
    expect(
      await db`SELECT FROM pds_provisioning_queue WHERE user_id = ${member.id} AND action = 'rename'`,
    ).toHaveLength(1);
  });

  it('is for active identities, ten times a day', async () => {
    await db`UPDATE user_pds_mapping SET status = 'revoked' WHERE user_id = ${member.id}`;
    for (let n = 0; n < 10; n += 1)
      expect((await rename('alice7')).error).toMatchObject({ code: 'IDENTITY_NOT_READY' });
    expect((await rename('alice7')).error).toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('asks for a second factor for this very handle', async () => {
    await confirm(renameHandle, 'alice8');
    const { error } = await call(routes.rename, renameHandle, {
      cookie: member.cookie,
      body: { handle: 'alice9' },
    });
    expect(error).toMatchObject({ code: 'STEP_UP_REQUIRED' });
  });

  it('is nothing that a new Telegram name does', async () => {
    await logIn({ id: Number(member.id), first_name: 'Alice', username: 'quite_another_name' });
    expect(await changes()).toEqual([]);
    const [row] = await db<
      [{ pds_handle: Handle }]
    >`SELECT pds_handle FROM user_pds_mapping WHERE user_id = ${member.id}`;
    expect(row.pds_handle).toBe(member.handle);
  });
});

describe('switching off, and on again', () => {
  const ask = async (contract: Contract, handler: ApiHandler) => {
    await confirm(contract);
    return call(handler, contract, { cookie: member.cookie });
  };
  const revoke = () => ask(revokeIdentity, routes.revoke);
  const reactivate = () => ask(reactivateIdentity, routes.reactivate);
  const status = (to: string) => db`UPDATE user_pds_mapping SET status = ${to} WHERE user_id = ${member.id}`;

  it('is written down, once, behind the second factor', async () => {
    for (const [contract, handler] of [
      [revokeIdentity, routes.revoke],
      [reactivateIdentity, routes.reactivate],
    ] as const) {
      const { error } = await call(handler, contract, { cookie: member.cookie });
      expect(error).toMatchObject({ code: 'STEP_UP_REQUIRED' });
    }
    const first = await revoke();
    expect(first.data).toEqual({ change_id: expect.any(Number) });
    expect((await revoke()).data).toEqual(first.data);
    expect((await reactivate()).error).toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    await end();
    await status('revoked');
    expect((await revoke()).error).toMatchObject({ code: 'IDENTITY_NOT_READY' });
    expect((await reactivate()).status).toBe(200);
    expect((await changes()).map(({ kind }) => kind)).toEqual(['revoke', 'come_back']);
  });

  it('is not for who has no identity yet', async () => {
    await status('error');
    expect((await revoke()).error).toMatchObject({ code: 'IDENTITY_NOT_READY' });
    expect((await reactivate()).error).toMatchObject({ code: 'IDENTITY_NOT_READY' });
  });

  it('leaves who has switched off logged in, and a login of his makes nothing', async () => {
    await status('revoked');
    const work = async () =>
      (await db`SELECT action FROM pds_provisioning_queue WHERE user_id = ${member.id} ORDER BY id`).map(
        ({ action }) => action,
      );
    const before = await work();
    await logIn({ id: Number(member.id), first_name: 'Alice, again' });
    expect(await work()).toEqual(before);
    expect(
      await db`SELECT FROM user_pds_mapping WHERE user_id = ${member.id} AND pds_did = ${member.did}`,
    ).toHaveLength(1);
    const [{ count }] = await db<[{ count: number }]>`
      SELECT count(*)::int FROM sessions WHERE user_id = ${member.id} AND revoked_at IS NULL`;
    expect(count).toBe(2);
  });
});
