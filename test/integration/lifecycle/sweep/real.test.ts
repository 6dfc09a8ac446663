import { randomBytes } from 'node:crypto';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { planSweep } from '../../../../lib/lifecycle/sweep/plan.ts';
import { sweepCohort } from '../../../../lib/lifecycle/sweep/sweep-cohort.ts';
import { deleteAccount, type PdsAdmin, updateAccountPassword } from '../../../../lib/pds/client/admin.ts';
import { createSession } from '../../../../lib/pds/client/sessions.ts';
import { connectionTo } from '../../../../lib/pds/provider.ts';
import { callXrpc } from '../../../../lib/pds/xrpc.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { faultyNetwork } from '../../provisioning/faulty.ts';
import { Killed, mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openBench, openStage, type Stage } from '../../provisioning/stage.ts';
import { expectWorkingIdentity, opened } from '../../provisioning/working-identity.ts';
import { runSweep, type WholeSweep } from './run-sweep.ts';

/** A sweep as it is, over members of a real PDS. */
let stage: Stage;
let bench: Bench;
let deps: WholeSweep;
let admin: PdsAdmin;
let skipped = 0;
const now = () => new Date(Date.now() + skipped);

beforeAll(async () => {
  stage = await openStage();
  // Nothing here waits for a failure: a slow machine may take its time.
  bench = await openBench(stage, { now, times: TIMES.local });
  const QueueName = `health-${randomBytes(4).toString('hex')}`;
  await stage.sqsClient.send(new CreateQueueCommand({ QueueName }));
  deps = {
    ...bench.deps,
    queueUrl: stage.sqs.queueUrl(QueueName),
    checkHours: 1,
    leaseSeconds: 30,
    runSeconds: 60,
  };
  const [provider] = deps.providers;
  if (!provider?.adminPassword) throw new Error('no admin');
  admin = { ...connectionTo(deps, provider, 10_000), adminPassword: provider.adminPassword };
});
afterAll(async () => {
  await bench.close();
  await stage.close();
});
beforeEach(async () => {
  // What one test leaves is not the next one's.
  await bench.sql`UPDATE user_pds_mapping SET status = 'revoked' WHERE status = 'active'`;
  await bench.sql`UPDATE pds_provisioning_queue SET status = 'completed'`;
  await bench.sql`UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL, consecutive_failures = 0,
    throttled_until = NULL, sweep_tokens = NULL, sweep_tokens_at = NULL`;
  await bench.sql`DELETE FROM operator_notices`;
});

/** An active member whom his first check has found accessible, with his DID. */
async function member(): Promise<Identity & { pds_did: NonNullable<Identity['pds_did']> }> {
  const { userId, queueId } = await bench.member();
  await performWork(bench.deps, queueId);
  await checkAll();
  const identity = await identityOf(bench, userId);
  expect(identity).toMatchObject({ status: 'active', verification_status: 'accessible' });
  return identity as Awaited<ReturnType<typeof member>>;
}

/** Does the checks that are asked for until each is decided: three in a row, a minute apart. */
async function checkAll(changes: Partial<Bench['deps']> = {}): Promise<number> {
  for (let round = 0; ; round += 1) {
    const open = await bench.sql<{ id: number }[]>`
      SELECT id FROM pds_provisioning_queue WHERE action = 'verify' AND status IN ('pending', 'processing')`;
    if (open.length === 0) return round;
    for (const { id } of open) await performWork({ ...bench.deps, ...changes }, String(id));
    skipped += 61_000;
  }
}

const comeDue = (userId: string) =>
  bench.sql`UPDATE user_pds_mapping SET credentials_checked_at = '2000-01-01' WHERE user_id = ${userId}`;
const verified = (userId: string) => bench.sql`
  SELECT status, error_code FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'verified' ORDER BY seq OFFSET 1`;
const notices = async () =>
  (await bench.sql`SELECT kind, subject FROM operator_notices`).map(
    ({ kind, subject }) => `${kind} ${subject}`,
  );

async function takeDown(did: string, applied: boolean): Promise<void> {
  await callXrpc(admin, {
    nsid: 'com.atproto.admin.updateSubjectStatus',
    input: {
      subject: { $type: 'com.atproto.admin.defs#repoRef', did },
      takedown: { applied, ...(applied && { ref: 'test' }) },
    },
    authorization: `Basic ${Buffer.from(`admin:${admin.adminPassword}`).toString('base64')}`,
  });
}

async function asMember(identity: Identity, procedure: string): Promise<void> {
  const password = await opened(bench, identity, 'account_password_sealed');
  if (identity.pds_did === null) throw new Error('no DID');
  const { accessJwt } = await createSession(admin, { did: identity.pds_did, password });
  await callXrpc(admin, {
    nsid: `com.atproto.server.${procedure}`,
    input: procedure === 'deactivateAccount' ? {} : null,
    authorization: `Bearer ${accessJwt}`,
  });
}

describe('a member who is well', () => {
  it('is noted in bulk; when he is due, his session is renewed and sealed, once whoever asks', async () => {
    const before = await member();
    const other = await member();
    await comeDue(before.user_id);
    const network = faultyNetwork(() => undefined);
    const began = now();
    await runSweep({ ...deps, fetch: network.fetch });
    expect(network.asked.sort()).toEqual([
      '_health',
      'com.atproto.server.describeServer',
      'com.atproto.server.refreshSession',
      'com.atproto.sync.listRepos',
      'com.atproto.sync.listRepos',
    ]);
    const after = await expectWorkingIdentity(stage, bench, before.user_id);
    expect(after.last_verified_at?.getTime()).toBeGreaterThanOrEqual(began.getTime());
    expect(after.credentials_checked_at.getTime()).toBeGreaterThanOrEqual(began.getTime());
    expect(await opened(bench, after, 'pds_refresh_token')).not.toBe(
      await opened(bench, before, 'pds_refresh_token'),
    );
    expect((await identityOf(bench, other.user_id)).pds_refresh_token).toBe(other.pds_refresh_token);
    expect([...(await verified(before.user_id))]).toEqual([]);
    expect(await checkAll()).toBe(0);
  });

  it('is checked once by two workers who got the same message, and left alone while somebody works on him', async () => {
    const due = await member();
    const leased = await member();
    await Promise.all([comeDue(due.user_id), comeDue(leased.user_id)]);
    await bench.sql`
      UPDATE user_pds_mapping SET lease_until = ${new Date(now().getTime() + 60_000)} WHERE user_id = ${leased.user_id}`;
    const untouched = await identityOf(bench, leased.user_id);
    const network = faultyNetwork(() => undefined);
    const planned = await planSweep({ ...deps, deadline: new Date(now().getTime() + 60_000) });
    if (due.data_key_id === null || !planned) throw new Error('nothing to sweep');
    const cohort = { sweepId: planned.sweepId, dataKeyId: due.data_key_id };
    await Promise.all([1, 2, 3].map(() => sweepCohort({ ...deps, fetch: network.fetch }, cohort)));
    expect(network.asked.filter((nsid) => nsid.endsWith('refreshSession'))).toHaveLength(1);
    const { seen_in_sweep, last_verified_at, updated_at, ...same } = await identityRow(leased.user_id);
    expect(untouched).toMatchObject({ pds_refresh_token: same.pds_refresh_token, epoch: same.epoch });
    await bench.sql`UPDATE user_pds_mapping SET lease_until = NULL WHERE user_id = ${leased.user_id}`;
    await expectWorkingIdentity(stage, bench, due.user_id);
    await expectWorkingIdentity(stage, bench, leased.user_id);
  });

  const identityRow = async (userId: string) =>
    (await bench.sql`SELECT * FROM user_pds_mapping WHERE user_id = ${userId}`)[0] as Identity & {
      seen_in_sweep: number;
      updated_at: Date;
    };

  it('keeps what a restore put in while the sweep was at it', async () => {
    const { user_id: userId } = await member();
    await comeDue(userId);
    const network = faultyNetwork(({ nsid, send }) => {
      if (!nsid.endsWith('refreshSession')) return undefined;
      return (async () => {
        const answer = await send();
        await bench.sql`
          UPDATE user_pds_mapping SET epoch = epoch + 1, lease_until = NULL, pds_refresh_token = 'restored'
          WHERE user_id = ${userId}`;
        return answer;
      })();
    });
    await runSweep({ ...deps, fetch: network.fetch });
    expect(await identityOf(bench, userId)).toMatchObject({
      pds_refresh_token: 'restored',
      lease_until: null,
    });
  });

  it.each([
    ['of another DID', { did: 'did:web:somebody.else' }, {}],
    ['whose token is another DID’s', {}, { sub: 'did:web:somebody.else' }],
    ['that has expired', {}, { exp: 1_000_000_000 }],
  ])('never gets a session %s', async (_, answer, claims) => {
    const before = await member();
    await comeDue(before.user_id);
    const jwt = `e30.${Buffer.from(JSON.stringify({ sub: before.pds_did, exp: 9_999_999_999, ...claims })).toString('base64url')}.x`;
    const network = faultyNetwork(({ nsid }) =>
      /refreshSession|createSession/.test(nsid)
        ? Promise.resolve(Response.json({ did: before.pds_did, accessJwt: jwt, refreshJwt: jwt, ...answer }))
        : undefined,
    );
    await runSweep({ ...deps, fetch: network.fetch });
    expect(await checkAll({ fetch: network.fetch })).toBe(3);
    expect(await identityOf(bench, before.user_id)).toMatchObject({
      pds_refresh_token: before.pds_refresh_token,
      verification_status: 'inaccessible',
      health_problem: 'CHECK_FAILED',
    });
  });
});

describe('a member who is not', () => {
  it.each([
    [
      'taken down',
      'ACCOUNT_TAKEN_DOWN',
      (identity: Identity) => takeDown(String(identity.pds_did), true),
      (identity: Identity) => takeDown(String(identity.pds_did), false),
    ],
    [
      'deactivated',
      'ACCOUNT_DEACTIVATED',
      (identity: Identity) => asMember(identity, 'deactivateAccount'),
      (identity: Identity) => asMember(identity, 'activateAccount'),
    ],
  ])(
    '%s is found out by the list, becomes inaccessible by three checks, and comes back',
    async (_, problem, fall, rise) => {
      const identity = await member();
      const { user_id: userId, pnptv_uuid } = identity;
      await fall(identity);
      await runSweep(deps);
      expect((await identityOf(bench, userId)).verification_status).toBe('accessible');
      expect(await checkAll()).toBe(3);
      expect(await identityOf(bench, userId)).toMatchObject({
        verification_status: 'inaccessible',
        health_problem: problem,
      });
      expect(await notices()).toEqual([`identity_inaccessible ${pnptv_uuid}`]);
      // Nothing new: nobody is asked, told or logged again.
      await runSweep(deps);
      expect(await checkAll()).toBe(0);
      await rise(identity);
      await runSweep(deps);
      expect(await checkAll()).toBe(1);
      await expectWorkingIdentity(stage, bench, userId);
      expect([...(await verified(userId))]).toEqual([
        { status: 'failed', error_code: problem },
        { status: 'success', error_code: null },
      ]);
      expect(await notices()).toHaveLength(1);
    },
  );

  it('deleted there is inaccessible, with a reason', async () => {
    const { user_id: userId, pds_did } = await member();
    await deleteAccount(admin, pds_did);
    await runSweep(deps);
    expect(await checkAll()).toBe(3);
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'inaccessible',
      health_problem: 'ACCOUNT_MISSING',
    });
  });

  it('signed out of all sessions gets a new one by the password; with a changed password the old one is set again', async () => {
    const signedOut = await member();
    const changed = await member();
    const password = await opened(bench, signedOut, 'account_password_sealed');
    await updateAccountPassword(admin, { did: signedOut.pds_did, password });
    await updateAccountPassword(admin, { did: changed.pds_did, password: 'somebody else was here' });
    for (const { user_id } of [signedOut, changed]) await comeDue(user_id);
    const [last] = await bench.sql`SELECT max(id) AS id FROM pds_provisioning_log`;
    await runSweep(deps);
    expect(await checkAll()).toBe(1);
    await expectWorkingIdentity(stage, bench, signedOut.user_id);
    const mended = await identityOf(bench, changed.user_id);
    expect(mended).toMatchObject({ verification_status: 'accessible', health_problem: null });
    const stored = await opened(bench, mended, 'account_password_sealed');
    await createSession(admin, { did: changed.pds_did, password: stored });
    const changes = await bench.sql`
      SELECT user_id, action FROM pds_provisioning_log
      WHERE user_id IN (${signedOut.user_id}, ${changed.user_id}) AND id > ${last?.id}
        AND action IN ('updated', 'backup_created') ORDER BY id`;
    expect([...changes]).toEqual([
      { user_id: changed.user_id, action: 'backup_created' },
      { user_id: changed.user_id, action: 'updated' },
    ]);
  });

  it('with a changed password that we may not set again is inaccessible, with a reason', async () => {
    const { user_id: userId, pds_did } = await member();
    await updateAccountPassword(admin, { did: pds_did, password: 'somebody else was here' });
    await comeDue(userId);
    await runSweep(deps);
    const providers = bench.deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    expect(await checkAll({ providers })).toBe(3);
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'inaccessible',
      health_problem: 'CREDENTIALS_REFUSED',
    });
  });

  it.each([
    ['DID document', 'did.json', 'DOCUMENT_WRONG'],
    ['handle', 'atproto-did', 'HANDLE_WRONG'],
  ])('whose %s is wrong from outside is found out when he is due', async (_, path, problem) => {
    const { user_id: userId } = await member();
    await comeDue(userId);
    const wrong = {
      ...bench.deps.outside,
      fetch: (async (input, init) =>
        String(input).endsWith(path)
          ? new Response('{"id": "did:web:somebody.else"}')
          : bench.deps.outside.fetch(input, init)) as typeof fetch,
    };
    await runSweep({ ...deps, outside: wrong });
    expect(await checkAll({ outside: wrong })).toBe(3);
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'inaccessible',
      health_problem: problem,
    });
    await runSweep(deps);
    expect(await checkAll()).toBe(1);
    await expectWorkingIdentity(stage, bench, userId);
  });
});

describe('a PDS', () => {
  it('that is down for three sweeps makes its members inaccessible, and accessible again when it is back', async () => {
    const { user_id: userId } = await member();
    await stage.pds.stop();
    for (const status of ['accessible', 'accessible', 'inaccessible']) {
      await runSweep(deps);
      expect((await identityOf(bench, userId)).verification_status).toBe(status);
    }
    expect(await notices()).toEqual(['provider_inaccessible local']);
    await stage.restartPds();
    await runSweep(deps);
    expect(await checkAll()).toBe(0);
    await expectWorkingIdentity(stage, bench, userId);
    expect([...(await verified(userId))]).toEqual([
      { status: 'failed', error_code: 'PROVIDER_DOWN' },
      { status: 'success', error_code: null },
    ]);
  });

  it('that is too busy (429) says nothing about its members', async () => {
    const { user_id: userId } = await member();
    await comeDue(userId);
    const before = await identityOf(bench, userId);
    const busy = faultyNetwork(() =>
      Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 })),
    );
    for (let sweep = 0; sweep < 4; sweep += 1) await runSweep({ ...deps, fetch: busy.fetch });
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'accessible',
      consecutive_failures: 0,
      pds_refresh_token: before.pds_refresh_token,
    });
    // Two questions to the provider each time; the first answer was believed for the others.
    expect(busy.asked).toHaveLength(8);
  });
});

describe('a planner or a worker that dies', () => {
  it('leaves nothing that the next one does not bring to its end, whenever it dies', {
    timeout: 60_000,
  }, async () => {
    const { user_id: userId } = await member();
    let moment = 0;
    for (let died = true; died; ) {
      moment += 1;
      await comeDue(userId);
      const dying = mortal(deps, moment);
      await runSweep(dying.deps).catch((error) => {
        if (!(error instanceof Killed) && !dying.life.dead) throw error;
      });
      died = dying.life.dead;
      // A planner's lease and a member's run out.
      await bench.sql`UPDATE health_sweeps SET leased_until = leased_until - interval '100 seconds'`;
      await bench.sql`UPDATE user_pds_mapping SET lease_until = lease_until - interval '100 seconds'`;
      await runSweep(deps);
      const rounds = await checkAll();
      const identity = await identityOf(bench, userId);
      expect([moment, dying.life.calls, rounds <= 1, identity.verification_status]).toEqual([
        moment,
        dying.life.calls,
        true,
        'accessible',
      ]);
      expect(identity.credentials_checked_at.getFullYear()).toBeGreaterThan(2000);
      expect(identity.lease_until).toBeNull();
    }
    expect(moment).toBeGreaterThan(20);
    await expectWorkingIdentity(stage, bench, userId);
    expect([...(await verified(userId))]).toEqual([]);
  });
});
