import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did, Handle } from '../../../../lib/brands.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { activateAccount, deactivateAccount, getRepoStatus } from '../../../../lib/pds/client/accounts.ts';
import { deleteAccount, updateAccountPassword } from '../../../../lib/pds/client/admin.ts';
import { createSession } from '../../../../lib/pds/client/sessions.ts';
import { probeDocument, probeHandle } from '../../../../lib/pds/probes/outside.ts';
import { connectionTo } from '../../../../lib/pds/provider.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { enqueue } from '../../../../lib/provisioning/queue/queue.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { faultyNetwork, silence } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf, rowOf } from '../../provisioning/stage.ts';
import { expectWorkingIdentity, opened } from '../../provisioning/working-identity.ts';
import { type ChangeBench, momentsOf, openChangeBench } from '../changes/change-bench.ts';

let world: ChangeBench;
beforeAll(async () => {
  world = await openChangeBench();
});
afterAll(() => world.close());
const { fetch: realFetch } = globalThis;
beforeEach(() => {
  world.bench.deps.fetch = realFetch;
  world.stopSkipping();
});

const askFor = {
  revoke: ({ user_id }: Identity) => world.ask(user_id, 'revoke'),
  come_back: ({ user_id }: Identity) => world.ask(user_id, 'come_back', {}, ['revoked', 'active']),
};
const revoke = (member: Identity) => askFor.revoke(member).then((queueId) => world.workOn(queueId));
const comeBack = (member: Identity) => askFor.come_back(member).then((queueId) => world.workOn(queueId));
const pds = () =>
  connectionTo(
    { fetch: realFetch, now: () => new Date() },
    { id: 'local', endpoint: world.stage.pds.url, weight: 1 },
    5_000,
  );
const accountOf = ({ pds_did }: Identity) => getRepoStatus(pds(), pds_did as Did);
async function openChangeOf(userId: string): Promise<number> {
  const [change] = await world.bench.sql<[{ id: number }]>`
    SELECT id FROM pds_changes WHERE user_id = ${userId} AND ended_at IS NULL`;
  return change.id;
}
/** At the PDS, as its apps let him. */
const asMember = async (member: Identity) => {
  const password = await opened(world.bench, member, 'account_password_sealed');
  return (await createSession(pds(), { did: member.pds_did as Did, password })).accessJwt;
};

/** Switched off at the PDS, and not a bit of it lost: what he has signed can be verified, and he can come back. */
async function expectRevoked(member: Identity) {
  const { bench } = world;
  const now = await identityOf(bench, member.user_id);
  expect(now).toMatchObject({
    status: 'revoked',
    pds_access_token: null,
    pds_refresh_token: null,
    lease_until: null,
  });
  for (const column of [
    'pds_did',
    'pds_handle',
    'account_password_sealed',
    'pds_private_key_encrypted',
    'rotation_key_sealed',
  ] as const)
    expect(now[column]).toEqual(member[column]);
  expect(await accountOf(member)).toMatchObject({ active: false, status: 'deactivated' });
  const { pds_did, pds_handle, pds_endpoint, atproto_public_key } = now as Identity & {
    pds_did: Did;
    pds_handle: Handle;
  };
  const named = { pds_did, pds_handle, pds_endpoint: pds_endpoint ?? '', atproto_public_key };
  expect(await probeHandle(bench.deps.outside, named)).toMatchObject({ status: 'success' });
  expect(await probeDocument(bench.deps.outside, named)).toMatchObject({ status: 'success' });
  expect(await verifyMember(bench.sql, now.pnptv_uuid)).toMatchObject({ intact: true });
}

async function expectBack(member: Identity) {
  expect(await accountOf(member)).toMatchObject({ active: true });
  await expectWorkingIdentity(world.stage, world.bench, member.user_id);
}

describe.each(['web', 'plc'] as const)('a did:%s', (method) => {
  it('is switched off, left alone, and comes back', async () => {
    const { bench } = world;
    const member = await world.member(method);
    await revoke(member);
    await expectRevoked(member);
    expect(await world.toldTo(member.user_id)).toEqual(['revoked']);
    const asked = faultyNetwork(() => undefined);
    bench.deps.fetch = asked.fetch;
    for (const action of ['verify', 'retry'] as const) {
      const { queueId } = await bench.sql.begin((tx) => enqueue(tx, { userId: member.user_id, action }));
      expect(await performWork(bench.deps, queueId)).toBe('done');
    }
    expect(asked.asked).toEqual([]);
    await comeBack(member);
    await expectBack(member);
    expect(await world.toldTo(member.user_id)).toEqual(['revoked', 'came_back']);
    const [check] = await bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${member.user_id} AND action = 'verify' AND status = 'pending'`;
    expect(await world.workOn(check?.id ?? '')).toMatchObject({ status: 'completed' });
    expect(await identityOf(bench, member.user_id)).toMatchObject({ verification_status: 'accessible' });
    const entries = await bench.sql`
      SELECT action, details FROM pds_provisioning_log WHERE user_id = ${member.user_id} AND action IN ('revoked', 'updated') ORDER BY id`;
    expect(entries).toMatchObject([
      { action: 'revoked' },
      { action: 'updated', details: { before: 'revoked', after: 'active' } },
    ]);
  });
});

it('is switched off, and on, whenever the worker dies', { timeout: 120_000 }, async () => {
  const member = await world.member();
  const dieAt = async (kind: keyof typeof askFor, moment: number) => {
    const queueId = await askFor[kind](member);
    const { deps, life } = mortal(world.bench.deps, moment);
    await performWork(deps, queueId).catch(() => {});
    const row = await world.workOn(queueId);
    expect(row, `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({ status: 'completed' });
    if (kind === 'revoke') await expectRevoked(member);
    else expect(await accountOf(member)).toMatchObject({ active: true });
    return life.calls;
  };
  const [off, on] = [momentsOf(await dieAt('revoke', 0)), momentsOf(await dieAt('come_back', 0))];
  for (let index = 0; index < Math.max(off.length, on.length); index += 1) {
    await dieAt('revoke', off[index] ?? 0);
    await dieAt('come_back', on[index] ?? 0);
  }
  await expectBack(member);
});

it('is switched off, and on, although each answer of the PDS gets lost once', async () => {
  const member = await world.member();
  for (const [change, expectDone] of [
    [revoke, expectRevoked],
    [comeBack, expectBack],
  ] as const) {
    const lost = new Set<string>();
    const { fetch } = faultyNetwork(({ nsid, send }) => {
      if (!nsid.startsWith('com.atproto.') || lost.has(nsid)) return undefined;
      lost.add(nsid);
      return send().then(silence);
    });
    world.bench.deps.fetch = fetch;
    expect(await change(member)).toMatchObject({ status: 'completed', attempt_count: 0 });
    expect([...lost]).toContain(
      `com.atproto.server.${change === revoke ? 'deactivateAccount' : 'activateAccount'}`,
    );
    world.stopSkipping();
    await expectDone(member);
  }
});

it('waits for a PDS that is down', async () => {
  const member = await world.member();
  const { fetch, heal } = faultyNetwork(() => Promise.reject(new TypeError('fetch failed')));
  world.bench.deps.fetch = fetch;
  const queueId = await askFor.revoke(member);
  expect(await performWork(world.bench.deps, queueId)).toBe('parked');
  expect(await identityOf(world.bench, member.user_id)).toMatchObject({ status: 'active' });
  heal();
  await world.workOn(queueId);
  await expectRevoked(member);
});

it('is left as it was by a PDS that has not answered for a day', async () => {
  const member = await world.member();
  // It does what it is asked to, and nobody hears of it.
  let deactivated = false;
  world.bench.deps.fetch = faultyNetwork(({ nsid, send }) => {
    if (deactivated) return Promise.reject(new TypeError('fetch failed'));
    if (!nsid.endsWith('.deactivateAccount')) return undefined;
    deactivated = true;
    return send().then(() => Promise.reject(new TypeError('fetch failed')));
  }).fetch;
  const queueId = await askFor.revoke(member);
  expect(await performWork(world.bench.deps, queueId)).toBe('parked');
  world.skip(23 * 3600_000);
  expect(await performWork(world.bench.deps, queueId)).toBe('parked');
  world.skip(2 * 3600_000);
  expect(await world.workOn(queueId)).toMatchObject({ status: 'completed' });
  expect(await world.lastChange(member.user_id)).toMatchObject({
    outcome: 'failed',
    error_code: 'PDS_UNAVAILABLE',
  });
  expect(await identityOf(world.bench, member.user_id)).toMatchObject({
    status: 'active',
    lease_until: null,
  });
  // What it did meanwhile he undoes by coming back.
  world.bench.deps.fetch = realFetch;
  world.stopSkipping();
  await comeBack(member);
  await expectBack(member);
});

it.each(['revoke', 'come_back'] as const)(
  'is as before a %s that was cancelled, whatever comes late',
  async (kind) => {
    const { bench } = world;
    const member = await world.member();
    if (kind === 'come_back') await revoke(member);
    let arrives = async (): Promise<unknown> => expect.unreachable();
    const { fetch, heal } = faultyNetwork(({ nsid, send }) => {
      if (!/\.(de)?activateAccount$/.test(nsid)) return undefined;
      arrives = send;
      return silence();
    });
    bench.deps.fetch = fetch;
    const queueId = await askFor[kind](member);
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    heal();
    const { user_id: userId } = member;
    await cancelChange({ sql: bench.sql }, { userId, changeId: await openChangeOf(userId), by: userId });
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    await arrives();
    expect(await world.workOn(queueId)).toMatchObject({ status: 'completed' });
    expect(await world.lastChange(userId)).toMatchObject({ outcome: 'cancelled' });
    if (kind === 'come_back') await expectRevoked(member);
    else await expectBack(member);
  },
);

it('is left off when its member does not want to wait for the PLC directory any more', async () => {
  const { bench } = world;
  const member = await world.member('plc');
  const away = faultyNetwork(({ nsid }) =>
    nsid.startsWith('com.atproto.') ? undefined : Promise.reject(new TypeError('fetch failed')),
  );
  bench.deps.fetch = away.fetch;
  // Nothing of it has to do with the directory.
  await revoke(member);
  const queueId = await askFor.come_back(member);
  expect(await performWork(bench.deps, queueId)).toBe('parked');
  expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'plc_down' });
  const { user_id: userId } = member;
  const changeId = await openChangeOf(userId);
  expect(await cancelChange({ sql: bench.sql }, { userId, changeId, by: userId })).toEqual({
    cancelled: false,
  });
  expect(await performWork(bench.deps, queueId)).toBe('done');
  expect(await world.lastChange(userId)).toMatchObject({ outcome: 'cancelled' });
  bench.deps.fetch = realFetch;
  await expectRevoked(member);
  await comeBack(member);
  await expectBack(member);
});

describe('a member who has deactivated his account at the PDS himself', () => {
  it('is revoked all the same, and brought back by us, revoked or not', async () => {
    const member = await world.member();
    await deactivateAccount(pds(), await asMember(member));
    await revoke(member);
    await expectRevoked(member);
    // And back by himself, which we do not hear of.
    await activateAccount(pds(), await asMember(member));
    await comeBack(member);
    await expectBack(member);
    await deactivateAccount(pds(), await asMember(member));
    await comeBack(member);
    await expectBack(member);
  });
});

describe('what cannot be done', () => {
  const failed = async (member: Identity, code: string, status: Identity['status']) => {
    expect(await world.lastChange(member.user_id)).toMatchObject({ outcome: 'failed', error_code: code });
    expect(await identityOf(world.bench, member.user_id)).toMatchObject({ status, lease_until: null });
    expect((await world.toldTo(member.user_id)).at(-1)).toBe('change_failed');
  };

  it('leaves the identity as it was, at a PDS that has lost the account', async () => {
    const [on, off] = [await world.member(), await world.member()];
    await revoke(off);
    for (const { pds_did } of [on, off]) await deleteAccount(pdsAdmin(world.stage.pds), pds_did as Did);
    await revoke(on);
    await failed(on, 'ACCOUNT_MISSING', 'active');
    await comeBack(off);
    await failed(off, 'ACCOUNT_MISSING', 'revoked');
  });

  it('leaves it as it was, where somebody has changed the password and we have no rights', async () => {
    const member = await world.member();
    await updateAccountPassword(pdsAdmin(world.stage.pds), {
      did: member.pds_did as Did,
      password: 'another one',
    });
    const { providers } = world.bench.deps;
    world.bench.deps.providers = providers.map(({ adminPassword: _, ...provider }) => provider);
    await revoke(member);
    world.bench.deps.providers = providers;
    await failed(member, 'ACCOUNT_LOCKED', 'active');
    expect(await accountOf(member)).toMatchObject({ active: true });
  });

  it('puts the account back at a PDS that does it and then fails', async () => {
    const member = await world.member();
    world.bench.deps.fetch = faultyNetwork(({ nsid, send }) =>
      nsid.endsWith('.deactivateAccount')
        ? send().then(() => Response.json({ error: 'InternalServerError' }, { status: 500 }))
        : undefined,
    ).fetch;
    // Each of the three times it is active again: the PDS's own doing, or its member's.
    const queueId = await askFor.revoke(member);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await world.skipTo(queueId);
      expect(await performWork(world.bench.deps, queueId)).toBe('again');
      await activateAccount(pds(), await asMember(member));
    }
    await world.skipTo(queueId);
    expect(await performWork(world.bench.deps, queueId)).toBe('done');
    await failed(member, 'PDS_SERVER_ERROR', 'active');
    await expectBack(member);
  });
});
