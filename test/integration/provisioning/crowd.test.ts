import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../lib/observability/log.ts';
import { CREATIONS, WINDOW_MS } from '../../../lib/pds/budget.ts';
import { storeProviders } from '../../../lib/pds/providers.ts';
import { relay } from '../../../lib/provisioning/relay.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { seededRandom } from '../../chaos/seeded-random.ts';
import { modelledPds, type Trouble } from './modelled-pds.ts';
import { modelledQueue } from './modelled-queue.ts';
import { documentOf, modelledStage } from './modelled-stage.ts';
import { type Bench, openBench, sqlAsOwner } from './stage.ts';

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
  let answers: Map<number, number>;
  let runs: number;
  let relayedAt: number;
  beforeEach(async () => {
    clock = START;
    relayedAt = START;
    trouble = 'none';
    runs = 0;
    answers = new Map();
    queue = modelledQueue({ now: () => clock, random: seededRandom(SEED) });
    pds = modelledPds({
      now: () => clock,
      documentOf: (did) => documentOf(bench, did),
      creationLimit: LIMIT,
    });
    const through = pds.fetchThrough(() => ({ trouble, seconds: 0 }));
    bench = await openBench(modelledStage(pds.url, queue.client), {
      now: () => new Date(clock),
      times: TIMES.production,
      providers: [{ id: 'local', endpoint: pds.url, weight: 1, adminPassword: 'model-admin' }],
      fetch: async (...args) => {
        const answer = await through(...args);
        answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
        return answer;
      },
    });
  });
  afterEach(() => bench.close());

  /** As many logins at the same moment; each sends its message. */
  async function logIn(count: number): Promise<void> {
    await sqlAsOwner(
      bench.database,
      (owner) => owner`
        WITH newcomers AS (
          INSERT INTO users (id, username)
          SELECT (${5_000_000 + runs}::int + n)::text, 'member' || n FROM generate_series(1, ${count}::int) AS n
          RETURNING id
        ), mapped AS (
          INSERT INTO user_pds_mapping (user_id) SELECT id FROM newcomers ORDER BY id RETURNING user_id, pnptv_uuid
        )
        INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry)
        SELECT user_id, pnptv_uuid, 'create', ${new Date(clock)} FROM mapped`,
    );
    const rows = await bench.sql<{ id: string }[]>`
      UPDATE pds_provisioning_queue SET sent_at = ${new Date(clock)} RETURNING id::text`;
    for (const { id } of rows.toSorted((a, b) => Number(a.id) - Number(b.id))) {
      await queue.client.send({
        input: { QueueUrl: 'model', MessageBody: JSON.stringify({ queueId: id }) },
      });
    }
  }

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
      const taken = queue.take(WORKERS);
      runs += taken.length;
      await Promise.all(taken.map((queueId) => performWork(bench.deps, queueId)));
      if (taken.length > 0) clock += WORK_MS;
    }
  }

  const everybodyIsActive = async () => {
    const [open] = await bench.sql`SELECT FROM user_pds_mapping WHERE status <> 'active' LIMIT 1`;
    return open === undefined;
  };
  /** By how many younger ones at most somebody was overtaken: their accounts were there a minute before his. */
  async function overtakenBy(): Promise<number> {
    const rows = await bench.sql<{ pds_did: string }[]>`
      SELECT m.pds_did FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
      WHERE q.action = 'create' ORDER BY q.id`;
    const made = new Map(pds.created.map(({ did, at }) => [did, at]));
    const byAge = rows.map(({ pds_did }) => made.get(pds_did) ?? Infinity);
    return Math.max(
      ...byAge.map((at, age) => byAge.slice(age).filter((younger) => younger < at - 60_000).length),
    );
  }
  async function expectNothingSpent(members: number) {
    const [spent] = await bench.sql`
      SELECT count(*) AS rows, sum(attempt_count)::int AS attempts, count(*) FILTER (WHERE status = 'failed') AS failed
      FROM pds_provisioning_queue WHERE action = 'create'`;
    expect(spent).toEqual({ rows: members, attempts: 0, failed: 0 });
    expect(pds.created).toHaveLength(members);
  }

  it('of 1,000 before a PDS that takes 100 in five minutes: all become active, by age, and nobody meets a 429', {
    timeout: 180_000,
  }, async () => {
    const members = 1_000;
    await logIn(members);
    await letTimePass(everybodyIsActive);
    const tookMs = clock - START;
    console.log(
      `${members} active after ${Math.round(tookMs / 60_000)} modelled minutes, ${runs} runs, ${queue.sent()} messages,`,
      Object.fromEntries(answers),
    );
    await expectNothingSpent(members);
    expect(answers.get(429) ?? 0).toBe(0);
    // Neighbours change places on the way from SQS through ten workers; nobody loses his turn.
    expect(await overtakenBy()).toBeLessThanOrEqual(WORKERS);
    // As fast as the limit allows, but for the tenth that is left to others.
    expect(tookMs).toBeLessThan(Math.ceil(members / CREATIONS) * WINDOW_MS + 120_000);
    // One run finds the place in the line, one makes the account, one checks it; and what the relay sends twice.
    expect(runs).toBeLessThan(4.5 * members);
  });

  it('of 300 logs in while the PDS is down for two hours: one of them asks now and then, and all go on by age', {
    timeout: 120_000,
  }, async () => {
    const [provider] = bench.deps.providers;
    Object.assign(bench.deps, { providers: [{ ...provider, rateLimitBypassKey: 'model' }] });
    await storeProviders(bench.sql, bench.deps.providers);
    pds.liftLimit();
    trouble = 'refused';
    await logIn(300);
    await letTimePass(() => clock > START + 2 * 3_600_000);
    expect(pds.created).toEqual([]);
    // Everybody once, and then a probe at a time: for two hours that is every 30 seconds or less.
    expect(runs).toBeLessThan(300 + 400);
    const downRuns = runs;
    trouble = 'none';
    await letTimePass(everybodyIsActive);
    console.log(
      `300 waited with ${downRuns} runs, active ${(clock - START - 7_200_000) / 1000} s after the end`,
    );
    await expectNothingSpent(300);
    expect(clock - START).toBeLessThan(2 * 3_600_000 + 180_000);
    expect(await overtakenBy()).toBeLessThanOrEqual(WORKERS);
  });

  it('of 150 that waits for a PDS that was down is let in no faster than its limit', {
    timeout: 120_000,
  }, async () => {
    trouble = 'refused';
    await logIn(150);
    await letTimePass(() => clock > START + 600_000);
    trouble = 'none';
    await letTimePass(everybodyIsActive);
    await expectNothingSpent(150);
    expect(answers.get(429) ?? 0).toBe(0);
    expect(await overtakenBy()).toBeLessThanOrEqual(WORKERS);
  });

  it('of 250 meets the limit because of others, and waits it out together', {
    timeout: 120_000,
  }, async () => {
    pds.othersTake(60);
    await logIn(250);
    await letTimePass(everybodyIsActive);
    await expectNothingSpent(250);
    // Those that were on their way when the first was told.
    expect(answers.get(429)).toBeLessThanOrEqual(2 * WORKERS);
    expect(await overtakenBy()).toBeLessThanOrEqual(5 * WORKERS);
  });
});
