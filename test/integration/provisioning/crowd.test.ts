import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../lib/observability/log.ts';
import { CREATIONS, WINDOW_MS } from '../../../lib/pds/budget.ts';
import { storeProviders } from '../../../lib/pds/providers.ts';
import { relay } from '../../../lib/provisioning/queue/relay.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { seededRandom } from '../../chaos/seeded-random.ts';
import { everybodyIsActive, expectNothingSpent, logInCrowd, overtakenBy, recorded } from './crowd.ts';
import { modelledPds, type Trouble } from './modelled-pds.ts';
import { modelledQueue } from './modelled-queue.ts';
import { documentOf, modelledStage } from './modelled-stage.ts';
import { type Bench, openBench } from './stage.ts';

const START = Date.parse('2026-05-01T12:00:00Z');
const LIMIT = { most: 100, windowMs: 300_000 };
/** As many as AWS runs at once, and the time in which a PDS makes that many accounts. */
const WORKERS = 10;
const WORK_MS = 1_200;
const SEED = Number(process.env.CROWD_SEED ?? Date.now() % 1_000_000);

/** The PDS, SQS and the clock are modelled; rows, claims, sealing, relay and the saga are the real ones. */
describe(`a crowd (CROWD_SEED=${SEED})`, () => {
  let bench: Bench;
  let clock: number;
  let trouble: Trouble;
  let queue: ReturnType<typeof modelledQueue>;
  let pds: ReturnType<typeof modelledPds>;
  let seen: ReturnType<typeof recorded>;
  let runs: number;
  let lastLogin: number;
  let relayedAt: number;
  beforeEach(async () => {
    clock = START;
    relayedAt = START;
    trouble = 'none';
    runs = 0;
    queue = modelledQueue({ now: () => clock, random: seededRandom(SEED) });
    pds = modelledPds({
      now: () => clock,
      documentOf: (did) => documentOf(bench, did),
      creationLimit: LIMIT,
    });
    seen = recorded(
      pds.fetchThrough(() => ({ trouble, seconds: 0 })),
      () => clock,
    );
    bench = await openBench(modelledStage(pds.url, queue.client), {
      now: () => new Date(clock),
      times: TIMES.production,
      providers: [{ id: 'local', endpoint: pds.url, weight: 1, adminPassword: 'model-admin' }],
      fetch: seen.fetch,
    });
  });
  afterEach(() => bench.close());

  /** The clock goes on from one thing that happens to the next: messages to the workers, and every minute the relay. */
  async function letTimePass(until: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await until())) {
      if (clock - START > 24 * 3_600_000) throw new Error('a day has passed');
      const nextRelay = relayedAt + 60_000;
      clock = Math.max(clock, Math.min(queue.nextAt(), nextRelay));
      if (clock >= nextRelay) {
        relayedAt = clock;
        await relay({ ...bench.deps, log: silentLog });
      }
      // The checks that follow are another matter.
      await bench.sql`UPDATE pds_provisioning_queue SET status = 'completed' WHERE action = 'verify' AND status = 'pending'`;
      const taken = queue.take(WORKERS).filter((queueId) => Number(queueId) <= lastLogin);
      runs += taken.length;
      await Promise.all(taken.map((queueId) => performWork(bench.deps, queueId)));
      if (taken.length > 0) clock += WORK_MS;
    }
  }

  it('of 1,000 before a PDS that takes 100 in five minutes: all become active, by age, and nobody meets a 429', {
    timeout: 180_000,
  }, async () => {
    const members = 1_000;
    lastLogin = await logInCrowd(bench, queue, { members: members, at: new Date(clock) });
    await letTimePass(() => everybodyIsActive(bench));
    const tookMs = clock - START;
    console.log(
      `${members} active after ${Math.round(tookMs / 60_000)} modelled minutes, ${runs} runs, ${queue.sent()} messages,`,
      seen.answers,
    );
    await expectNothingSpent(bench, { members: members, created: seen.created });
    expect(seen.answers[429] ?? 0).toBe(0);
    // Neighbours change places on the way from SQS through ten workers; nobody loses his turn.
    expect(await overtakenBy(bench, seen.created)).toBeLessThanOrEqual(WORKERS);
    // As fast as the limit allows, but for the tenth that is left to others.
    expect(tookMs).toBeLessThan(Math.ceil(members / CREATIONS) * WINDOW_MS + 120_000);
    // One run finds the place in the line, one makes the account; and what the relay sends twice.
    expect(runs).toBeLessThan(4 * members);
  });

  it('of 300 logs in while the PDS is down for two hours: one of them asks now and then, and all go on by age', {
    timeout: 120_000,
  }, async () => {
    const [provider] = bench.deps.providers;
    Object.assign(bench.deps, { providers: [{ ...provider, rateLimitBypassKey: 'model' }] });
    await storeProviders(bench.sql, bench.deps.providers);
    pds.liftLimit();
    trouble = 'refused';
    lastLogin = await logInCrowd(bench, queue, { members: 300, at: new Date(clock) });
    await letTimePass(() => clock > START + 2 * 3_600_000);
    expect(seen.created).toEqual([]);
    // Everybody once, and then a probe at a time: for two hours that is every 30 seconds or less.
    expect(runs).toBeLessThan(300 + 400);
    const downRuns = runs;
    trouble = 'none';
    await letTimePass(() => everybodyIsActive(bench));
    console.log(
      `300 waited with ${downRuns} runs, active ${(clock - START - 7_200_000) / 1000} s after the end`,
    );
    await expectNothingSpent(bench, { members: 300, created: seen.created });
    expect(clock - START).toBeLessThan(2 * 3_600_000 + 180_000);
    expect(await overtakenBy(bench, seen.created)).toBeLessThanOrEqual(WORKERS);
  });

  it('of 150 that waits for a PDS that was down is let in no faster than its limit', {
    timeout: 120_000,
  }, async () => {
    trouble = 'refused';
    lastLogin = await logInCrowd(bench, queue, { members: 150, at: new Date(clock) });
    await letTimePass(() => clock > START + 600_000);
    trouble = 'none';
    await letTimePass(() => everybodyIsActive(bench));
    await expectNothingSpent(bench, { members: 150, created: seen.created });
    expect(seen.answers[429] ?? 0).toBe(0);
    expect(await overtakenBy(bench, seen.created)).toBeLessThanOrEqual(WORKERS);
  });

  it('of 250 meets the limit because of others, and waits it out together', {
    timeout: 120_000,
  }, async () => {
    pds.othersTake(60);
    lastLogin = await logInCrowd(bench, queue, { members: 250, at: new Date(clock) });
    await letTimePass(() => everybodyIsActive(bench));
    await expectNothingSpent(bench, { members: 250, created: seen.created });
    // Those that were on their way when the first was told.
    expect(seen.answers[429]).toBeLessThanOrEqual(2 * WORKERS);
    expect(await overtakenBy(bench, seen.created)).toBeLessThanOrEqual(5 * WORKERS);
  });
});
