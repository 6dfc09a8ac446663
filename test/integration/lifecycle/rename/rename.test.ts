import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did, Handle } from '../../../../lib/brands.ts';
import { freeHandles } from '../../../../lib/identity/change-handle.ts';
import { findIdentityByHost, reserveHostnames } from '../../../../lib/identity/hostnames.ts';
import { serveAtprotoDid } from '../../../../lib/identity/serve.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { deleteAccount, getAccountInfo } from '../../../../lib/pds/client/admin.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { probeDocument, probeHandle } from '../../../../lib/pds/probes/outside.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { faultyNetwork, silence } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { DOMAIN, identityOf, rowOf, sqlAsOwner } from '../../provisioning/stage.ts';
import { type ChangeBench, momentsOf, openChangeBench } from '../changes/change-bench.ts';

const UPDATE_HANDLE = 'com.atproto.identity.updateHandle';
const DAY = 86_400_000;

let world: ChangeBench;
let watched: { stop: () => Promise<void> } | undefined;
beforeAll(async () => {
  world = await openChangeBench();
});
afterAll(() => world.close());
const { fetch: realFetch } = globalThis;
beforeEach(() => {
  Object.assign(world.bench.deps, { fetch: realFetch, times: TIMES.test });
  world.stopSkipping();
});
afterEach(async () => {
  await watched?.stop();
  watched = undefined;
});

const newName = () => `n${randomBytes(5).toString('hex')}.${DOMAIN}` as Handle;
const didAt = async (host: string, now = world.now()) =>
  await findIdentityByHost(world.bench.sql, host, now).then((found) =>
    found?.kind === 'handle' ? found.did : undefined,
  );

/** How long whoever asks this host for the DID may keep the answer. */
const kept = async (host: string, now = world.now()) =>
  serveAtprotoDid(await findIdentityByHost(world.bench.sql, host, now), now).cacheControl;

/** Sees to it that at every moment one of these names leads to the DID, and neither to another one. */
function watch(did: Did | null, names: readonly (Handle | null)[]) {
  const seen: string[] = [];
  let over = false;
  const watching = (async () => {
    while (!over) {
      const leads = await Promise.all(names.map((name) => didAt(name ?? '')));
      if (!leads.includes(did as Did) || leads.some((lead) => lead !== undefined && lead !== did)) {
        seen.push(`${names.join(', ')} → ${leads.join(', ')}`);
      }
      await sleep(3);
    }
  })();
  watched = {
    stop: async () => {
      over = true;
      await watching;
      expect(seen).toEqual([]);
    },
  };
}

/** The PDS, the world and our row agree on what a member is called, and the PDS says so of its own accord. */
async function expectCalled({ user_id }: Pick<Identity, 'user_id'>, handle: Handle | null) {
  const { bench, stage } = world;
  const identity = await identityOf(bench, user_id);
  expect(identity).toMatchObject({ status: 'active', pds_handle: handle, lease_until: null });
  expect(identity.document_settles_at).not.toBeNull();
  const { pds_did, pds_endpoint, pds_handle, atproto_public_key } = identity as Identity & {
    pds_did: Did;
    pds_handle: Handle;
  };
  const named = { pds_did, pds_handle, pds_endpoint: pds_endpoint ?? '', atproto_public_key };
  expect(await probeHandle(bench.deps.outside, named)).toMatchObject({ status: 'success' });
  expect(await probeDocument(bench.deps.outside, named)).toMatchObject({ status: 'success' });
  expect(await getAccountInfo(pdsAdmin(stage.pds), pds_did)).toMatchObject({ handle });
  expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
  return identity;
}

/** As if nothing had happened: the name is anybody's, and the work is over. */
async function expectAsBefore(member: Identity, name: Handle, code: string) {
  await expectBefore(member, code);
  expect(await world.bench.sql`SELECT FROM hostnames WHERE hostname = ${name}`).toHaveLength(0);
}
async function expectBefore(member: Identity, code: string) {
  await watched?.stop();
  expect(await world.lastChange(member.user_id)).toMatchObject({ outcome: 'failed', error_code: code });
  const after = await expectCalled(member, member.pds_handle);
  for (const column of [
    'account_password_sealed',
    'pds_refresh_token',
    'credential_version',
    'pds_did',
  ] as const)
    expect(after[column]).toEqual(member[column]);
  expect(await world.toldTo(member.user_id)).toContain('change_failed');
}

async function rename(member: Identity, name = newName()): Promise<Handle> {
  expect(await world.workOn(await world.ask(member.user_id, 'rename', { handle: name }))).toMatchObject({
    status: 'completed',
  });
  return name;
}

describe.each(['web', 'plc'] as const)('a member of a did:%s who wants another handle', (method) => {
  it('gets it: the PDS, the document and the world agree, and he is told', async () => {
    const member = await world.member(method);
    const name = newName();
    watch(member.pds_did, [member.pds_handle, name]);
    await rename(member, name);
    await watched?.stop();
    await expectCalled(member, name);
    expect(await world.toldTo(member.user_id)).toEqual(['renamed']);
    const [entry] = await world.bench.sql`
      SELECT action, status, details FROM pds_provisioning_log WHERE user_id = ${member.user_id} ORDER BY id DESC LIMIT 1`;
    expect(entry).toMatchObject({
      action: 'updated',
      status: 'success',
      details: { before: member.pds_handle, after: name },
    });
    const [check] = await world.bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${member.user_id} AND action = 'verify' AND status = 'pending'`;
    expect(await world.workOn(check?.id ?? '')).toMatchObject({ status: 'completed' });
    expect(await identityOf(world.bench, member.user_id)).toMatchObject({
      verification_status: 'accessible',
    });
  });

  it('has it, whenever the worker dies', { timeout: 120_000 }, async () => {
    const member = await world.member(method);
    let before = member.pds_handle;
    const dieAt = async (moment: number) => {
      const name = newName();
      watch(member.pds_did, [before, name]);
      const queueId = await world.ask(member.user_id, 'rename', { handle: name });
      const { deps, life } = mortal(world.bench.deps, moment);
      await performWork(deps, queueId).catch(() => {});
      const row = await world.workOn(queueId);
      expect(row, `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({ status: 'completed' });
      await watched?.stop();
      await expectCalled(member, name);
      before = name;
      return life.calls;
    };
    const calls = await dieAt(0);
    expect(calls).toContain(UPDATE_HANDLE);
    // Up to the PDS both methods do the same.
    const from = method === 'web' ? 0 : calls.indexOf(UPDATE_HANDLE) - 1;
    for (const moment of momentsOf(calls, from)) await dieAt(moment);
  });

  it('has it after an outage in which each answer of the PDS got lost once', async () => {
    const member = await world.member(method);
    const name = newName();
    watch(member.pds_did, [member.pds_handle, name]);
    const lost = new Set<string>();
    const network = faultyNetwork(({ nsid, send }) => {
      if (!nsid.startsWith('com.atproto.') || lost.has(nsid)) return undefined;
      lost.add(nsid);
      return send().then(silence);
    });
    world.bench.deps.fetch = network.fetch;
    await rename(member, name);
    await watched?.stop();
    await expectCalled(member, name);
    expect([...lost]).toEqual([
      'com.atproto.sync.getRepoStatus',
      'com.atproto.server.createSession',
      'com.atproto.identity.getRecommendedDidCredentials',
      UPDATE_HANDLE,
    ]);
    expect(network.asked.filter((nsid) => nsid === UPDATE_HANDLE)).toHaveLength(1);
  });
});

describe('the handle before', () => {
  it('leads to its member for some days more, and to nobody else for 90', async () => {
    const member = await world.member();
    const before = member.pds_handle as Handle;
    await rename(member);
    const isTaken = async () => {
      const { userId } = await world.bench.member();
      const names = { userId, did: `did:web:x-${userId}.${DOMAIN}` as Did, handle: before };
      return !(await world.bench.sql.begin((tx) => reserveHostnames(tx, names)));
    };
    const days = (count: number) => new Date(Date.now() + count * DAY);
    expect(await didAt(before, days(6.9))).toBe(member.pds_did);
    expect(await didAt(before, days(7.1))).toBeUndefined();
    const other = await world.member();
    await rename(other, before);
    expect(await world.lastChange(other.user_id)).toMatchObject({ error_code: 'HANDLE_TAKEN' });
    const [{ free_at }] = await world.bench.sql<
      [{ free_at: Date }]
    >`SELECT free_at FROM hostnames WHERE hostname = ${before}`;
    expect([days(89.9) < free_at, free_at < days(90.1)]).toEqual([true, true]);
    await freeHandles(world.bench.sql, 1_000);
    expect(await isTaken()).toBe(true);
    await sqlAsOwner(
      world.bench.database,
      (sql) => sql`UPDATE hostnames SET free_at = now() WHERE hostname = ${before}`,
    );
    expect(await freeHandles(world.bench.sql, 1_000)).toBe(1);
    expect(await isTaken()).toBe(false);
  });

  it('comes back to its member, and stands as it did when that cannot be done', async () => {
    const member = await world.member();
    const first = member.pds_handle as Handle;
    const second = await rename(member);
    const standing = () =>
      world.bench
        .sql`SELECT kind, user_id, did, released_at, serve_until, free_at FROM hostnames WHERE hostname = ${first}`;
    const stood = await standing();
    refuseHandles();
    await rename(member, first);
    expect(await world.lastChange(member.user_id)).toMatchObject({
      outcome: 'failed',
      error_code: 'HANDLE_REFUSED',
    });
    await expectCalled(member, second);
    expect(await standing()).toEqual(stood);
    world.bench.deps.fetch = realFetch;
    watch(member.pds_did, [first, second]);
    await rename(member, first);
    await watched?.stop();
    await expectCalled(member, first);
    expect(await standing()).toMatchObject([{ released_at: null, serve_until: null, free_at: null }]);
  });
});

describe('a handle that cannot be had', () => {
  it('goes to one of two who want it at once, and the other keeps his', async () => {
    const members = [await world.member(), await world.member()];
    const name = newName();
    const work = await Promise.all(
      members.map(({ user_id }) => world.ask(user_id, 'rename', { handle: name })),
    );
    await Promise.all(work.map((queueId) => world.workOn(queueId)));
    const outcomes = await Promise.all(members.map(({ user_id }) => world.lastChange(user_id)));
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['done', 'failed']);
    for (const [index, member] of members.entries()) {
      await expectCalled(member, outcomes[index]?.outcome === 'done' ? name : member.pds_handle);
    }
    expect(outcomes.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      error_code: 'HANDLE_TAKEN',
    });
  });

  it('is free again when an account at the PDS has it', async () => {
    const holder = await world.member();
    const name = await rename(holder);
    // What we do not know of: the PDS goes by it still.
    await sqlAsOwner(world.bench.database, async (sql) => {
      await sql`DELETE FROM hostnames WHERE hostname = ${name}`;
      await sql`UPDATE user_pds_mapping SET pds_handle = ${newName()} WHERE user_id = ${holder.user_id}`;
    });
    const member = await world.member();
    watch(member.pds_did, [member.pds_handle]);
    await rename(member, name);
    await expectAsBefore(member, name, 'HANDLE_REFUSED');
  });

  it('is free again when the world does not see it within ten minutes', async () => {
    const member = await world.member();
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    const { outside } = world.bench.deps;
    const blind: typeof fetch = (input, init) =>
      String(input).includes(name)
        ? Promise.resolve(new Response(null, { status: 404 }))
        : outside.fetch(input, init);
    world.bench.deps.outside = { ...outside, fetch: blind };
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    expect(await didAt(name)).toBe(member.pds_did);
    await world.workOn(queueId);
    world.bench.deps.outside = outside;
    await expectAsBefore(member, name, 'HANDLE_NOT_SEEN');
  });

  it('is free again when the PDS does not see the document, or says so', async () => {
    const member = await world.member();
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    refuseHandles('InvalidRequest', 'DID is not properly configured for handle');
    await rename(member, name);
    world.bench.deps.fetch = realFetch;
    await expectAsBefore(member, name, 'HANDLE_NOT_SEEN');
  });

  it('is free again when the PDS has lost the account', async () => {
    const member = await world.member();
    const name = newName();
    await deleteAccount(pdsAdmin(world.stage.pds), member.pds_did as Did);
    watch(member.pds_did, [member.pds_handle]);
    await rename(member, name);
    await watched?.stop();
    expect(await world.lastChange(member.user_id)).toMatchObject({
      outcome: 'failed',
      error_code: 'ACCOUNT_MISSING',
    });
    expect(await identityOf(world.bench, member.user_id)).toMatchObject({
      status: 'active',
      pds_handle: member.pds_handle,
    });
    expect(await didAt(name)).toBeUndefined();
  });

  it('is kept from others when the PDS may go by it, and has not answered for a day', async () => {
    const member = await world.member();
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    let asked = false;
    world.bench.deps.fetch = faultyNetwork(({ nsid }) => {
      asked ||= nsid === UPDATE_HANDLE;
      return asked && nsid.startsWith('com.atproto.')
        ? Promise.reject(new TypeError('fetch failed'))
        : undefined;
    }).fetch;
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    world.skip(23 * 3600_000);
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    expect(await world.lastChange(member.user_id)).toMatchObject({ step: 'published', outcome: null });
    world.skip(2 * 3600_000);
    await world.workOn(queueId);
    world.stopSkipping();
    world.bench.deps.fetch = realFetch;
    await expectBefore(member, 'PDS_UNAVAILABLE');
    expect(await didAt(name, new Date(Date.now() + 2 * DAY))).toBeUndefined();
    const [held] = await world.bench.sql<{ free_at: Date }[]>`
      SELECT free_at FROM hostnames WHERE hostname = ${name} AND user_id = ${member.user_id}`;
    expect(held?.free_at.getTime()).toBeGreaterThan(Date.now() + 89 * DAY);
    await rename(member, name);
    await expectCalled(member, name);
  });

  it('is taken back from a PDS that did it late, after it had refused', async () => {
    const member = await world.member('plc');
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    let deliver: (() => Promise<Response>) | undefined;
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== UPDATE_HANDLE) return undefined;
      if (deliver) return Promise.resolve(refusal('HandleNotAvailable', 'Reserved handle'));
      deliver = send;
      return silence();
    });
    world.bench.deps.fetch = network.fetch;
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    await world.skipTo(queueId);
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    expect(await world.lastChange(member.user_id)).toMatchObject({ step: 'taking_back', outcome: null });
    await deliver?.();
    expect(
      (await readPlcLog({ fetch, plcUrl: world.directory.url }, member.pds_did as Did)).data?.alsoKnownAs,
    ).toEqual([`at://${name}`]);
    network.heal();
    await world.workOn(queueId);
    await expectAsBefore(member, name, 'HANDLE_REFUSED');
  });
});

describe('a new handle of a did:plc whose directory stops answering', () => {
  const cancel = async ({ user_id: userId }: Identity) => {
    const { sql } = world.bench;
    const [change] = await sql<[{ id: number }]>`
      SELECT id FROM pds_changes WHERE user_id = ${userId} AND ended_at IS NULL`;
    return cancelChange({ sql }, { userId, changeId: change.id, by: userId });
  };
  /** It does so when the PDS is about to write there. */
  const stopMidway = async (queueId: string) => {
    const { fetch } = faultyNetwork(({ nsid }) => {
      if (nsid === UPDATE_HANDLE) world.directory.kill('SIGSTOP');
      return undefined;
    });
    Object.assign(world.bench.deps, { fetch, times: { ...TIMES.test, http: 1 } });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    await world.skipTo(queueId);
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    expect(await rowOf(world.bench, queueId)).toMatchObject({ parked_reason: 'plc_down' });
  };
  /** It has nothing to write: nobody was asked for anything yet. */
  const away = () => {
    world.bench.deps.fetch = faultyNetwork(({ nsid }) =>
      nsid.startsWith('com.atproto.') ? undefined : Promise.reject(new TypeError('fetch failed')),
    ).fetch;
  };
  afterEach(() => world.directory.kill('SIGCONT'));

  it('comes when the directory is back, and until then both names lead to the member', async () => {
    const member = await world.member('plc');
    const name = newName();
    watch(member.pds_did, [member.pds_handle, name]);
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    await stopMidway(queueId);
    expect([await didAt(name), await didAt(member.pds_handle ?? '')]).toEqual([
      member.pds_did,
      member.pds_did,
    ]);
    // And nobody keeps what he reads of either, however long it takes.
    world.skip(3600_000);
    for (const host of [name, member.pds_handle ?? '']) expect(await kept(host)).toBe('no-store');
    world.stopSkipping();
    world.directory.kill('SIGCONT');
    world.bench.deps.times = TIMES.test;
    await world.workOn(queueId);
    await watched?.stop();
    await expectCalled(member, name);
    for (const host of [name, member.pds_handle ?? '']) {
      expect(await kept(host)).toBe('no-store');
      expect(await kept(host, new Date(Date.now() + 600_000))).toContain('max-age');
    }
  });

  it('is taken back from the PDS when the directory is back, if its member does not want it any more', async () => {
    const member = await world.member('plc');
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    let sent = false;
    const network = faultyNetwork(({ nsid, send }) => {
      sent ||= nsid === UPDATE_HANDLE;
      if (nsid !== UPDATE_HANDLE && (!sent || nsid.startsWith('com.atproto.'))) return undefined;
      const did = nsid === UPDATE_HANDLE ? send() : Promise.resolve();
      return did.then(() => Promise.reject(new TypeError('fetch failed')));
    });
    world.bench.deps.fetch = network.fetch;
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    expect(await cancel(member)).toEqual({ cancelled: false });
    // Until nothing can be running any more, and then for the directory.
    for (const reason of ['outcome_unknown', 'plc_down']) {
      expect(await performWork(world.bench.deps, queueId)).toBe('parked');
      expect(await rowOf(world.bench, queueId)).toMatchObject({ parked_reason: reason });
      await world.skipTo(queueId);
    }
    expect([await didAt(name), await didAt(member.pds_handle ?? '')]).toEqual([
      member.pds_did,
      member.pds_did,
    ]);
    network.heal();
    await world.workOn(queueId);
    await watched?.stop();
    expect(await world.lastChange(member.user_id)).toMatchObject({ outcome: 'cancelled', error_code: null });
    await expectCalled(member, member.pds_handle);
    expect(await world.bench.sql`SELECT FROM hostnames WHERE hostname = ${name}`).toHaveLength(0);
    expect(await world.toldTo(member.user_id)).toEqual([]);
  });

  async function askWhileAway() {
    const member = await world.member('plc');
    const name = newName();
    watch(member.pds_did, [member.pds_handle]);
    away();
    const queueId = await world.ask(member.user_id, 'rename', { handle: name });
    expect(await performWork(world.bench.deps, queueId)).toBe('parked');
    return { member, name, queueId };
  }

  it('is dropped at once when its member wants something else, and he can have that', async () => {
    const { member, name, queueId } = await askWhileAway();
    expect(await rowOf(world.bench, queueId)).toMatchObject({ parked_reason: 'plc_down' });
    expect(await cancel(member)).toEqual({ cancelled: false });
    expect(await cancel(member)).toEqual({ cancelled: false });
    expect(await performWork(world.bench.deps, queueId)).toBe('done');
    await watched?.stop();
    expect(await world.lastChange(member.user_id)).toMatchObject({ outcome: 'cancelled' });
    expect(await world.bench.sql`SELECT FROM hostnames WHERE hostname = ${name}`).toHaveLength(0);
    expect(await world.workOn(await world.ask(member.user_id, 'revoke'))).toMatchObject({
      status: 'completed',
    });
    expect(await identityOf(world.bench, member.user_id)).toMatchObject({ status: 'revoked' });
  });

  it('is free again after a day', async () => {
    const { member, name, queueId } = await askWhileAway();
    world.skip(25 * 3600_000);
    await world.workOn(queueId);
    world.stopSkipping();
    world.bench.deps.fetch = realFetch;
    await expectAsBefore(member, name, 'PLC_UNAVAILABLE');
  });
});

function refusal(error = 'HandleNotAvailable', message = 'Handle already taken: somebody') {
  return Response.json({ error, message }, { status: 400 });
}

function refuseHandles(...why: Parameters<typeof refusal>) {
  world.bench.deps.fetch = faultyNetwork(({ nsid }) =>
    nsid === UPDATE_HANDLE ? Promise.resolve(refusal(...why)) : undefined,
  ).fetch;
}
