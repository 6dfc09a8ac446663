import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { updateAccountPassword } from '../../../lib/pds/client/admin.ts';
import { connectionTo } from '../../../lib/pds/provider.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { faultyNetwork } from './faulty.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from './stage.ts';
import { expectWorkingIdentity, opened } from './working-identity.ts';

describe('the check of an identity', () => {
  let stage: Stage;
  let bench: Bench;
  let userId: string;
  let verifyId: string;
  let skipped = 0;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    skipped = 0;
    bench = await openBench(stage, { now: () => new Date(Date.now() + skipped) });
    const member = await bench.member();
    userId = member.userId;
    await performWork(bench.deps, member.queueId);
    verifyId = await requestCheck();
  });
  afterEach(() => bench.close());

  const requestCheck = async () =>
    (await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }))).queueId;
  const checksOf = () => bench.sql`
    SELECT check_type, status, details FROM pds_health_checks WHERE user_id = ${userId} ORDER BY id`;
  const auditOf = async () =>
    (
      await bench.sql`SELECT action, status FROM pds_provisioning_log WHERE user_id = ${userId} ORDER BY seq`
    ).map(({ action, status }) => `${action} ${status}`);

  it('finds a new identity accessible, with fresh tokens, and logs only what changed', async () => {
    const before = await identityOf(bench, userId);
    expect(await performWork(bench.deps, verifyId)).toBe('done');
    const identity = await expectWorkingIdentity(stage, bench, userId);
    expect(identity).toMatchObject({ verification_status: 'accessible', consecutive_failures: 0 });
    expect(identity.last_verified_at).toBeInstanceOf(Date);
    expect(await opened(bench, identity, 'pds_refresh_token')).not.toBe(
      await opened(bench, before, 'pds_refresh_token'),
    );
    const checks = await checksOf();
    expect(checks.map(({ check_type, status }) => `${check_type} ${status}`)).toEqual([
      'endpoint_reachable success',
      'credentials success',
      'at_protocol success',
    ]);
    expect(checks[2]?.details).toMatchObject({
      account: 'active',
      valid_did: true,
      document: 'right',
      handle: 'right',
    });
    expect(await auditOf()).toContain('verified success');

    const logged = (await auditOf()).length;
    expect(await performWork(bench.deps, await requestCheck())).toBe('done');
    expect(await auditOf()).toHaveLength(logged);
  });

  it('gets a new session by the password when the refresh token was revoked', async () => {
    const [provider] = bench.deps.providers;
    if (!provider?.adminPassword) throw new Error('no admin');
    const identity = await identityOf(bench, userId);
    const admin = { ...connectionTo(bench.deps, provider, 5_000), adminPassword: provider.adminPassword };
    const password = await opened(bench, identity, 'account_password_sealed');
    if (identity.pds_did === null) throw new Error('no DID');
    await updateAccountPassword(admin, { did: identity.pds_did, password });
    expect(await performWork(bench.deps, verifyId)).toBe('done');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('makes an identity inaccessible after three failures in a row, not before, and accessible again', async () => {
    const network = faultyNetwork(() =>
      Promise.reject(Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })),
    );
    const deps = { ...bench.deps, fetch: network.fetch };
    for (const [expected, status] of [
      ['again', 'unknown'],
      ['again', 'unknown'],
      ['done', 'inaccessible'],
    ] as const) {
      expect(await performWork(deps, verifyId)).toBe(expected);
      expect(await identityOf(bench, userId)).toMatchObject({
        verification_status: status,
        status: 'active',
      });
      skipped += 120_000;
    }
    expect(await rowOf(bench, verifyId)).toMatchObject({ status: 'completed' });
    expect(await auditOf()).toEqual(expect.arrayContaining(['verified failed']));
    expect(await auditOf()).not.toContain('retry pending');

    expect(await performWork(bench.deps, await requestCheck())).toBe('done');
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'accessible',
      consecutive_failures: 0,
    });
  });

  it('waits for a PDS that is too busy, finds nothing wrong with the identity, and keeps renewed tokens', async () => {
    const reset = Math.ceil(Date.now() / 1000) + 50 * 60;
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('refreshSession')
        ? undefined
        : Promise.resolve(
            Response.json(
              { error: 'RateLimitExceeded' },
              { status: 429, headers: { 'ratelimit-reset': String(reset) } },
            ),
          ),
    );
    const before = await identityOf(bench, userId);
    expect(await performWork({ ...bench.deps, fetch: network.fetch }, verifyId)).toBe('parked');
    const row = await rowOf(bench, verifyId);
    expect(row).toMatchObject({ attempt_count: 0, parked_reason: 'provider_busy' });
    expect(row.next_retry.getTime()).toBeGreaterThanOrEqual(reset * 1000);
    const identity = await identityOf(bench, userId);
    expect(identity).toMatchObject({ verification_status: 'unknown', consecutive_failures: 0 });
    expect(await opened(bench, identity, 'pds_refresh_token')).not.toBe(
      await opened(bench, before, 'pds_refresh_token'),
    );
    expect(await checksOf()).toEqual([]);
    const [provider] = await bench.sql`SELECT throttled_until FROM pds_providers`;
    expect(provider?.throttled_until).toBeInstanceOf(Date);
    skipped += 3_600_000;
    expect(await performWork(bench.deps, verifyId)).toBe('done');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('keeps the stored session when the PDS itself does not take the new one for one of its own', async () => {
    const before = await identityOf(bench, userId);
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('checkAccountStatus')
        ? Promise.resolve(Response.json({ error: 'InvalidToken' }, { status: 401 }))
        : undefined,
    );
    expect(await performWork({ ...bench.deps, fetch: network.fetch }, verifyId)).toBe('again');
    expect(await identityOf(bench, userId)).toMatchObject({
      pds_refresh_token: before.pds_refresh_token,
      pds_access_token: before.pds_access_token,
      consecutive_failures: 1,
    });
  });

  it('sees that the DID document names another key', async () => {
    await bench.sql`UPDATE user_pds_mapping SET atproto_public_key = 'zQ3shXjGShufuxcgocP9FVaw9oWMKDpyDYh9KmguEfLyGdf6i' WHERE user_id = ${userId}`;
    expect(await performWork(bench.deps, verifyId)).toBe('again');
    const checks = await checksOf();
    expect(checks.at(-1)).toMatchObject({
      check_type: 'at_protocol',
      status: 'failed',
      details: { valid_did: false },
    });
  });
});
