import { globSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { storeProviders } from '../../../lib/pds/providers.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { faultyNetwork, silence } from './faulty.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage, workUntilOver } from './stage.ts';
import { expectWorkingIdentity, opened } from './working-identity.ts';

const CREATE = 'com.atproto.server.createAccount';

describe('provisioning', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    // Time for a PDS that makes its first account on a busy machine; what tests wait for is skipped.
    bench = await openBench(stage, { times: TIMES.local });
  });
  afterEach(() => bench.close());

  it('makes an active identity in one run and asks for its first check', async () => {
    const { userId, queueId } = await bench.member({ username: 'Happy_Alice' });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const identity = await expectWorkingIdentity(stage, bench, userId);
    expect(identity.pds_handle).toBe('happy-alice.pnptv.test');
    expect(identity.pds_did).toMatch(/^did:web:happy-alice-[a-z2-7]{6}\.pnptv\.test$/);
    expect(identity.pds_endpoint).toBe(stage.pds.url);
    expect(await rowOf(bench, queueId)).toMatchObject({ status: 'completed', attempt_count: 0, claims: 1 });
    const verify =
      await bench.sql`SELECT action, status, sent_at FROM pds_provisioning_queue WHERE action = 'verify'`;
    expect([...verify]).toEqual([{ action: 'verify', status: 'pending', sent_at: expect.any(Date) }]);
  });

  it('asks the PDS for nothing beyond the four calls that an account takes', async () => {
    const network = faultyNetwork(() => undefined);
    Object.assign(bench.deps, { fetch: network.fetch });
    await performWork(bench.deps, (await bench.member()).queueId);
    network.asked.length = 0;
    await performWork(bench.deps, (await bench.member()).queueId);
    expect(network.asked).toEqual([
      CREATE,
      'com.atproto.identity.getRecommendedDidCredentials',
      'com.atproto.server.activateAccount',
      'com.atproto.server.checkAccountStatus',
    ]);
  });

  it('does the work once when two workers get the message at once', async () => {
    const { userId, queueId } = await bench.member();
    const results = await Promise.all([performWork(bench.deps, queueId), performWork(bench.deps, queueId)]);
    expect(results.toSorted()).toEqual(['done', 'waiting']);
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('acknowledges a redelivered message of finished work and does nothing', async () => {
    const { queueId } = await bench.member();
    await performWork(bench.deps, queueId);
    expect(await performWork(bench.deps, queueId)).toBe('settled');
    expect(await performWork(bench.deps, '999999')).toBe('settled');
  });

  it('lets a worker that lost its lease write nothing', async () => {
    const { userId, queueId } = await bench.member();
    let answer = () => {};
    const gate = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const held = Promise.withResolvers<void>();
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== CREATE) return undefined;
      return send().then(async (response) => {
        held.resolve();
        await gate;
        return response;
      });
    });
    const times = { ...bench.deps.times, http: 30, worker: 40 };
    const slow = performWork({ ...bench.deps, fetch: network.fetch, times }, queueId);
    await held.promise;
    const later = () => new Date(Date.now() + bench.deps.times.lease * 1000 + 1000);
    expect(await performWork({ ...bench.deps, now: later }, queueId)).toBe('done');
    const before = await identityOf(bench, userId);
    answer();
    expect(await slow).toBe('lease_lost');
    expect(await identityOf(bench, userId)).toEqual(before);
    await expectWorkingIdentity(stage, bench, userId);
  });

  describe('when the outcome of createAccount stays unknown', () => {
    it('only looks until the quarantine is over, then creates again, and spends one attempt', async () => {
      const { userId, queueId } = await bench.member();
      let dropped = 0;
      const network = faultyNetwork(({ nsid }) => {
        if (nsid !== CREATE || dropped > 0) return undefined;
        dropped += 1;
        return silence();
      });
      Object.assign(bench.deps, { fetch: network.fetch });
      const { took } = await workUntilOver(bench, queueId);
      expect(took).toBeGreaterThanOrEqual(bench.deps.times.quarantine * 1000);
      const beforeSecond = network.asked.slice(
        network.asked.indexOf(CREATE) + 1,
        network.asked.lastIndexOf(CREATE),
      );
      expect(new Set(beforeSecond)).toEqual(new Set(['com.atproto.admin.getAccountInfo']));
      await expectWorkingIdentity(stage, bench, userId);
      expect(await rowOf(bench, queueId)).toMatchObject({ attempt_count: 1 });
    });

    it('adopts the account of a PDS that finishes long after we hung up', async () => {
      const { userId, queueId } = await bench.member();
      const underWay: (() => Promise<Response>)[] = [];
      const network = faultyNetwork(({ nsid, send }) => {
        if (nsid !== CREATE) return undefined;
        underWay.push(send);
        return silence();
      });
      Object.assign(bench.deps, { fetch: network.fetch });
      await performWork(bench.deps, queueId);
      const early = await identityOf(bench, userId);
      await workUntilOver(bench, queueId, async (passed) => {
        if (passed > 30_000) await Promise.all(underWay.splice(0).map((send) => send()));
      });
      expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
      const identity = await expectWorkingIdentity(stage, bench, userId);
      expect(identity.account_password_sealed).toBe(early.account_password_sealed);
    });

    it('adopts with the password when it has no admin rights', async () => {
      const { userId, queueId } = await bench.member();
      const [provider] = bench.deps.providers;
      const network = faultyNetwork(({ nsid, send }) => {
        if (nsid !== CREATE) return undefined;
        network.heal();
        return send().then(silence);
      });
      Object.assign(bench.deps, {
        fetch: network.fetch,
        providers: [{ ...provider, adminPassword: undefined }],
      });
      await workUntilOver(bench, queueId);
      expect(network.asked).toContain('com.atproto.server.createSession');
      expect(network.asked.join()).not.toContain('admin');
      await expectWorkingIdentity(stage, bench, userId);
    });

    it('counts a wrong admin password as none, and says so in a metric', async () => {
      const { userId, queueId } = await bench.member();
      const counted: string[] = [];
      const network = faultyNetwork(({ nsid, send }) => {
        if (nsid !== CREATE) return undefined;
        network.heal();
        return send().then(silence);
      });
      Object.assign(bench.deps, {
        fetch: network.fetch,
        providers: bench.deps.providers.map((provider) => ({ ...provider, adminPassword: 'wrong-password' })),
        metrics: { ...bench.deps.metrics, count: (name: string) => counted.push(name) },
      });
      await workUntilOver(bench, queueId);
      expect(counted).toContain('AdminPasswordRefused');
      await expectWorkingIdentity(stage, bench, userId);
    });
  });

  it.each([
    ['a 500 in HTML', () => new Response('<h1>Oops</h1>', { status: 500 })],
    ['half a JSON', () => new Response('{"did": "did:web', { status: 200 })],
    [
      'a redirect',
      () => new Response(null, { status: 302, headers: { location: 'https://elsewhere.test' } }),
    ],
    ['10 MB', () => new Response('x'.repeat(10_000_000), { status: 200 })],
    ['the wrong fields', () => Response.json({ hello: 'world' })],
  ])('adopts the account when createAccount did its work and was answered with %s', async (_, answer) => {
    const { userId, queueId } = await bench.member();
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== CREATE) return undefined;
      network.heal();
      return send().then(answer);
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    await workUntilOver(bench, queueId);
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('resets the password at the PDS when it is not the stored one, and never the stored one', async () => {
    const { userId, queueId } = await bench.member();
    let changed = false;
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== CREATE || changed) return undefined;
      changed = true;
      return send().then(async () => {
        const { pds_did } = await identityOf(bench, userId);
        await fetch(`${stage.pds.url}/xrpc/com.atproto.admin.updateAccountPassword`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Basic ${Buffer.from(`admin:${stage.pds.adminPassword}`).toString('base64')}`,
          },
          body: JSON.stringify({ did: pds_did, password: 'somebody-elses' }),
        });
        return silence();
      });
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    await performWork(bench.deps, queueId);
    const stored = await opened(bench, await identityOf(bench, userId), 'account_password_sealed');
    await workUntilOver(bench, queueId);
    const identity = await expectWorkingIdentity(stage, bench, userId);
    expect(await opened(bench, identity, 'account_password_sealed')).toBe(stored);
  });

  it('deletes the remains of a creation that broke off, after the quarantine, and creates anew', async () => {
    const { userId, queueId } = await bench.member();
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== CREATE) return undefined;
      network.heal();
      return send().then(silence);
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    await performWork(bench.deps, queueId);
    const { pds_did } = await identityOf(bench, userId);
    await forgetAccountButKeepRepo(stage, String(pds_did));
    await workUntilOver(bench, queueId);
    expect(network.asked).toContain('com.atproto.admin.deleteAccount');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('deletes an account whose repo another creation destroyed, after the quarantine, and creates anew', async () => {
    const { userId, queueId } = await bench.member();
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== 'com.atproto.identity.getRecommendedDidCredentials') return undefined;
      network.heal();
      return destroyRepo(bench, userId, stage).then(send);
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    const { took } = await workUntilOver(bench, queueId);
    expect(took).toBeGreaterThanOrEqual(bench.deps.times.quarantine * 1000);
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(2);
    expect(network.asked).toContain('com.atproto.admin.deleteAccount');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('asks a PDS that wants to be called by another DID for its name, once', async () => {
    const { userId, queueId } = await bench.member();
    await bench.sql`UPDATE pds_providers SET service_did = 'did:web:former.test'`;
    const network = faultyNetwork(() => undefined);
    Object.assign(bench.deps, { fetch: network.fetch });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    expect(network.asked.slice(0, 3)).toEqual([CREATE, 'com.atproto.server.describeServer', CREATE]);
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('spends no attempt on a PDS that is too busy at the public address that it names', async () => {
    const { userId, queueId } = await bench.member();
    const inside = new URL(stage.pds.url);
    inside.hostname = '127.0.0.1';
    const [provider] = bench.deps.providers;
    if (provider) bench.deps.providers = [{ ...provider, endpoint: inside.origin }];
    await storeProviders(bench.sql, bench.deps.providers);
    let busy = true;
    bench.deps.fetch = (input, init) =>
      busy && String(input).startsWith(stage.pds.url)
        ? Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 }))
        : fetch(input, init);
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'provider_busy', attempt_count: 0 });
    busy = false;
    const later = { ...bench.deps, now: () => new Date(Date.now() + 301_000) };
    expect(await performWork(later, queueId)).toBe('done');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('tries again while the PDS cannot read our names, and says so', async () => {
    const { userId, queueId } = await bench.member();
    stage.gateway.serve(undefined);
    expect(await performWork(bench.deps, queueId)).toBe('again');
    expect((await rowOf(bench, queueId)).error_details).toMatchObject({ code: 'IDENTITY_NOT_REACHABLE' });
    stage.gateway.serve(bench.sql);
    await workUntilOver(bench, queueId);
    await expectWorkingIdentity(stage, bench, userId);
  });
});

/** What two overlapping creations leave: the account, without the repo that the loser's clean-up removed. */
async function destroyRepo(bench: Bench, userId: string, { pdsDir }: Stage): Promise<void> {
  const { pds_did } = await identityOf(bench, userId);
  const [repo] = globSync(`actors/*/${pds_did}`, { cwd: pdsDir });
  if (!repo) throw new Error(`the PDS keeps no repo of ${pds_did}`);
  rmSync(path.join(pdsDir, repo), { recursive: true });
}

/** What a PDS that is killed in the middle of createAccount leaves: a repo, and no account to it. */
async function forgetAccountButKeepRepo(stage: Stage, did: string): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const accounts = new DatabaseSync(`${stage.pdsDir}/account.sqlite`);
  for (const table of ['repo_root', 'refresh_token', 'account', 'actor']) {
    accounts.prepare(`DELETE FROM ${table} WHERE did = ?`).run(did);
  }
  accounts.close();
}
