import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CREATIONS, WINDOW_MS } from '../../../lib/pds/budget.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { faultyNetwork } from './faulty.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage, workUntilOver } from './stage.ts';
import { expectWorkingIdentity } from './working-identity.ts';

describe('a PDS in trouble', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    bench = await openBench(stage);
  });
  afterEach(() => bench.close());

  const breaker = async () => {
    const [row] = await bench.sql`
      SELECT breaker_state, consecutive_failures, throttled_until FROM pds_providers WHERE id = 'local'`;
    return row;
  };

  /** The PDS hangs until any quarantine is over. */
  async function workWhileItHangs(queueId: string) {
    const { times } = bench.deps;
    stage.pds.pause();
    return workUntilOver(bench, queueId, async (passed) => {
      const hangs = passed < (times.quarantine + 4) * 1000;
      // Only so long is waited for what never comes.
      bench.deps.times = { ...times, http: hangs ? 0.5 : times.http };
      if (hangs) return;
      stage.pds.resume();
      // Time that it has, too, for what it has not read yet.
      await sleep(times.http * 1000);
    });
  }

  it('that is down costs nobody an attempt, and everybody is completed when it is back', async () => {
    await stage.pds.stop();
    const members = [await bench.member(), await bench.member(), await bench.member()];
    const asked: string[] = [];
    const network = faultyNetwork(({ nsid }) => {
      asked.push(nsid);
      return undefined;
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    let skipped = 0;
    bench.deps.now = () => new Date(Date.now() + skipped);
    for (let hour = 0; hour < 12; hour += 1) {
      for (const { queueId } of members) {
        expect(await performWork(bench.deps, queueId)).toMatch(/parked|waiting/);
        skipped += 10_000;
      }
    }
    expect(await breaker()).toMatchObject({ breaker_state: 'open' });
    // Most of the 36 runs found the breaker open and asked nothing.
    expect(asked.length).toBeLessThan(24);
    for (const { userId, queueId } of members) {
      expect(await rowOf(bench, queueId)).toMatchObject({
        status: 'pending',
        attempt_count: 0,
        claims: 0,
        parked_reason: 'provider_down',
      });
      expect(await identityOf(bench, userId)).toMatchObject({
        status: 'pending',
        provisioning_step: 'reserved',
      });
    }
    await stage.restartPds();
    skipped += 120_000;
    const [first, ...others] = members;
    expect(await performWork(bench.deps, first?.queueId ?? '')).toBe('done');
    // Whoever finds the PDS back sends the others on their way at once.
    for (const { queueId } of others) {
      const { next_retry, sent_at } = await rowOf(bench, queueId);
      expect(next_retry <= bench.deps.now() && sent_at !== null && sent_at <= bench.deps.now()).toBe(true);
    }
    for (const { queueId } of others) expect(await performWork(bench.deps, queueId)).toBe('done');
    for (const { userId } of members) await expectWorkingIdentity(stage, bench, userId);
    expect(await breaker()).toMatchObject({ breaker_state: 'closed', consecutive_failures: 0 });
  });

  it('that hangs with our createAccount unread, and wakes up after the quarantine, makes a working account', {
    timeout: 60_000,
  }, async () => {
    const { userId, queueId } = await bench.member();
    await performWork(bench.deps, (await bench.member()).queueId);
    await workWhileItHangs(queueId);
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('that hangs behind a proxy with our createAccount unread gets no second one beside it', {
    timeout: 60_000,
  }, async () => {
    const { userId, queueId } = await bench.member();
    await performWork(bench.deps, (await bench.member()).queueId);
    const network = faultyNetwork(({ send }) => {
      const answer = send();
      answer.catch(() => {});
      const gaveUp = sleep(300).then(() => new Response('<h1>504</h1>', { status: 504 }));
      return Promise.race([answer, gaveUp]);
    });
    Object.assign(bench.deps, { fetch: network.fetch });
    expect(await workWhileItHangs(queueId)).toMatchObject({ status: 'completed' });
    expect(network.asked.filter((nsid) => nsid.endsWith('createAccount'))).toHaveLength(1);
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('that takes only so many accounts gives everybody who waits a time of his own', async () => {
    const [provider] = bench.deps.providers;
    Object.assign(bench.deps, { providers: [{ ...provider, rateLimitBypassKey: undefined }] });
    const at = new Date();
    bench.deps.now = () => at;
    await bench.sql`
      UPDATE pds_providers SET creations = (
        SELECT array_agg(${at}::timestamptz - (n + 100) * interval '1 second') FROM generate_series(1, ${CREATIONS}::int) AS n)`;
    const dueTimes: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const { queueId } = await bench.member();
      expect(await performWork(bench.deps, queueId)).toBe('parked');
      const row = await rowOf(bench, queueId);
      expect(row).toMatchObject({ attempt_count: 0, parked_reason: 'provider_busy' });
      dueTimes.push(row.next_retry.getTime() - dueTimes.length * 1_000);
    }
    // The oldest of the creations is the first that makes room.
    const first = at.getTime() - (CREATIONS + 100) * 1_000 + WINDOW_MS;
    expect(new Set(dueTimes).size).toBe(1);
    expect((dueTimes[0] ?? 0) - first).toBeLessThan(5_000);
  });

  it('lets one worker probe it when the pause is over, and the others wait for that', async () => {
    const members = [await bench.member(), await bench.member()];
    await bench.sql`
      UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() - interval '1 second', consecutive_failures = 5`;
    const results = await Promise.all(members.map(({ queueId }) => performWork(bench.deps, queueId)));
    expect(results.toSorted()).toEqual(['done', 'parked']);
    expect(await breaker()).toMatchObject({ breaker_state: 'closed', consecutive_failures: 0 });
  });

  it('that answers 429 is left alone by everybody until its reset', async () => {
    const reset = Math.ceil(Date.now() / 1000) + 40;
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('createAccount')
        ? Promise.resolve(
            Response.json(
              { error: 'RateLimitExceeded' },
              { status: 429, headers: { 'ratelimit-reset': String(reset) } },
            ),
          )
        : undefined,
    );
    Object.assign(bench.deps, { fetch: network.fetch });
    const [first, second] = [await bench.member(), await bench.member()];
    expect(await performWork(bench.deps, first.queueId)).toBe('parked');
    network.asked.length = 0;
    expect(await performWork(bench.deps, second.queueId)).toBe('parked');
    expect(network.asked).toEqual([]);
    for (const { queueId } of [first, second]) {
      const row = await rowOf(bench, queueId);
      expect(row).toMatchObject({ attempt_count: 0, parked_reason: 'provider_busy' });
      expect(row.next_retry.getTime()).toBeGreaterThanOrEqual(reset * 1000);
    }
    network.heal();
    const later = { ...bench.deps, now: () => new Date(Date.now() + 60_000) };
    expect(await performWork(later, first.queueId)).toBe('done');
  });

  it('that answers 500 to everything fails the work after three attempts, with a reason', async () => {
    const { userId, queueId } = await bench.member();
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('getAccountInfo')
        ? undefined
        : Promise.resolve(Response.json({ error: 'InternalServerError' }, { status: 500 })),
    );
    Object.assign(bench.deps, { fetch: network.fetch });
    for (const expected of ['again', 'again', 'failed']) {
      expect(await performWork({ ...bench.deps, now: await jumpTo(bench, queueId) }, queueId)).toBe(expected);
    }
    expect(await identityOf(bench, userId)).toMatchObject({
      status: 'error',
      error_code: 'PDS_SERVER_ERROR',
      lease_until: null,
    });
    const log =
      await bench.sql`SELECT action, status, error_code FROM pds_provisioning_log WHERE user_id = ${userId} ORDER BY seq`;
    expect(log.map(({ action, status }) => `${action} ${status}`)).toEqual([
      'retry pending',
      'retry pending',
      'error failed',
    ]);
  });
});

/** A clock that stands where the row is due. */
async function jumpTo(bench: Bench, queueId: string): Promise<() => Date> {
  const { next_retry } = await rowOf(bench, queueId);
  const ahead = Math.max(0, next_retry.getTime() - Date.now());
  return () => new Date(Date.now() + ahead);
}
