import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { modelledPds, type Trouble } from './modelled-pds.ts';
import { documentOf, modelledStage } from './modelled-stage.ts';
import { mortal } from './mortal.ts';
import { type Bench, identityOf, openBench, rowOf } from './stage.ts';
import { opened } from './working-identity.ts';

const times = TIMES.production;
/** Nothing goes on longer than this at a PDS after we hung up: the assumption that the quarantine rests on. */
const LONGEST_LATE_S = times.quarantine - times.http - 1;

const RUNS = Number(process.env.MODEL_RUNS ?? 60);
/** A slow machine may be cut short, but not shorter than this. */
const FEWEST_RUNS = Math.min(RUNS, 20);
const TIME_LIMIT_MS = 100_000;

type Event =
  /** A worker gets the message; its remote calls meet these troubles, and it dies at this moment (0: not). */
  | { kind: 'work'; troubles: { trouble: Trouble; seconds: number }[]; diesAt: number }
  /** Two workers get the message at the same time. */
  | { kind: 'twice' }
  /** A worker gets the message, and is frozen in its first call to the PDS until `thaw`. */
  | { kind: 'freeze' }
  | { kind: 'thaw' }
  | { kind: 'wait'; seconds: number }
  | { kind: 'retry' };

const trouble = fc.record({
  trouble: fc.constantFrom<Trouble>(
    'none',
    'none',
    'none',
    'refused',
    'lost',
    'answer_lost',
    'late',
    'gateway_timeout',
    'garbage',
    'internal_error',
    'throttled',
  ),
  seconds: fc.integer({ min: 0, max: LONGEST_LATE_S }),
});
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      troubles: fc.array(trouble, { maxLength: 6 }),
      diesAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 36 })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Event>(
      { kind: 'twice' },
      { kind: 'freeze' },
      { kind: 'thaw' },
      { kind: 'retry' },
    ),
  },
);

describe('whatever happens to workers, network and PDS', () => {
  let bench: Bench;
  let clock = Date.now();
  const pds = modelledPds({
    now: () => clock,
    documentOf: (did) => documentOf(bench, did),
  });
  beforeAll(async () => {
    bench = await openBench(modelledStage(pds.url), { now: () => new Date(clock), times });
  });
  afterAll(() => bench.close());

  const calm = () => ({ trouble: 'none' as const, seconds: 0 });
  const depsWith = (next: () => { trouble: Trouble; seconds: number }) => ({
    ...bench.deps,
    fetch: pds.fetchThrough(next),
  });

  async function play(events: readonly Event[]) {
    await bench.sql`UPDATE pds_providers SET breaker_state = 'closed', consecutive_failures = 0, throttled_until = NULL`;
    const { userId, queueId } = await bench.member();
    let password: string | undefined;
    let did: string | null = null;
    const frozen: { thaw: () => void; run: Promise<unknown> }[] = [];

    async function check() {
      const identity = await identityOf(bench, userId);
      if (identity.provisioning_step === 'requested') return;
      const now = await opened(bench, identity, 'account_password_sealed');
      password ??= now;
      did ??= identity.pds_did;
      expect(now, 'a retry never changes the password').toBe(password);
      expect(identity.pds_did, 'there is one DID a member').toBe(did);
      if (identity.status === 'active') await expectActive(userId, password);
      if (identity.status === 'error') expect(identity.error_message).toBeTruthy();
    }

    for (const happening of events) {
      if (happening.kind === 'wait') clock += happening.seconds * 1000;
      if (happening.kind === 'retry')
        await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry', now: new Date(clock) }));
      if (happening.kind === 'work') {
        const troubles = happening.troubles.values();
        const { deps } = mortal(
          depsWith(() => troubles.next().value ?? calm()),
          happening.diesAt,
        );
        await performWork(deps, queueId).catch(() => {});
      }
      if (happening.kind === 'twice') {
        await Promise.all([performWork(depsWith(calm), queueId), performWork(depsWith(calm), queueId)]);
      }
      if (happening.kind === 'freeze') {
        const { promise, resolve } = Promise.withResolvers<void>();
        const through = pds.fetchThrough(calm);
        const reached = Promise.withResolvers<void>();
        const run = performWork(
          {
            ...bench.deps,
            fetch: async (...args) => {
              const answer = await through(...args);
              reached.resolve();
              await promise;
              return answer;
            },
          },
          queueId,
        ).catch(() => {});
        frozen.push({ thaw: resolve, run });
        await Promise.race([reached.promise, run]);
      }
      if (happening.kind === 'thaw') {
        const next = frozen.shift();
        next?.thaw();
        await next?.run;
      }
      await check();
    }
    for (const { thaw, run } of frozen) {
      thaw();
      await run;
    }
    await check();
    await finish(userId, queueId);
    await check();
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'active' });
    expect(pds.mostAtOnce(String(did)), 'two creations of one DID never overlap').toBeLessThanOrEqual(1);
  }

  /** The trouble is over. What failed meanwhile needs a retry; everything else completes by itself. */
  async function finish(userId: string, queueId: string) {
    for (let run = 0; run < 25; run += 1) {
      const row = await rowOf(bench, queueId);
      if (row.status === 'completed') return;
      if (row.status === 'failed') {
        expect(row.error_details?.code).toBeTruthy();
        await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry', now: new Date(clock) }));
      }
      clock = Math.max(clock, (await rowOf(bench, queueId)).next_retry.getTime()) + 1;
      await performWork(depsWith(calm), queueId);
    }
    throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
  }

  async function expectActive(userId: string, password: string) {
    const identity = await identityOf(bench, userId);
    expect(pds.account(String(identity.pds_did))).toMatchObject({
      repo: true,
      active: true,
      password,
      handle: identity.pds_handle,
    });
    expect(await opened(bench, identity, 'pds_refresh_token')).toBe(`did-token:${identity.pds_did}`);
    expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
  }

  it('ends in one working identity or in a failure with a reason, which a retry ends in one', {
    timeout: 120_000,
  }, async () => {
    let runs = 0;
    const property = fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 14 }), async (events) => {
      await play(events);
      runs += 1;
    });
    await fc.assert(property, { numRuns: RUNS, plugins: [fc.interruptAfterTimeLimit(TIME_LIMIT_MS)] });
    if (runs < RUNS) console.warn(`${runs} of ${RUNS} runs, then the time was over`);
    expect(runs).toBeGreaterThanOrEqual(FEWEST_RUNS);
  });
});
