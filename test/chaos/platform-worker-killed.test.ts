import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { MOST_CLAIMS } from '../../lib/provisioning/queue/claim.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { STEPS } from '../e2e/member-journey.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from '../e2e/prove-members.ts';
import {
  logInAll,
  openPlatform,
  type RunningPlatform,
  relayNow,
  untilActive,
  WORKER,
} from '../e2e/running-platform.ts';
import { expectReconciled } from './reconciliation.ts';
import { seededRandom } from './seeded-random.ts';

/** Those that a worker goes on from. */
const OPEN_STEPS = STEPS.filter((step) => step !== 'secured');
const KILLS_A_STEP = 2;
const KILLING_MS = 120_000;
/** A kill comes within this time after its step was seen: before, during or after the next remote call. */
const LATEST_MS = 300;
const NEWCOMER_EVERY_MS = 1_000;
const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

describe('a worker that is killed', () => {
  let running: RunningPlatform;
  beforeAll(async () => {
    running = await openPlatform();
  });
  afterAll(() => running?.close());

  it(`after any step leaves everybody with one working identity in the end (CHAOS_SEED=${SEED})`, async () => {
    const random = seededRandom(SEED);
    const targets = Array.from({ length: KILLS_A_STEP }, () => OPEN_STEPS).flat();
    const logins: Promise<{ id: string }[]>[] = [];
    const relays: Promise<void>[] = [];
    const until = performance.now() + KILLING_MS;
    let killedAt = 0;
    while (targets.length > 0) {
      const [step = 'requested'] = targets.splice(Math.floor(random() * targets.length), 1);
      const delayMs = random() * LATEST_MS;
      for (let nextLogin = 0; !(await killAfter(running, { step, delayMs, killedAt })); ) {
        if (performance.now() > until) throw new Error(`no worker was seen after ${step}`);
        if (performance.now() < nextLogin) continue;
        logins.push(logInAll(running, [`member_${logins.length}`]));
        relays.push(relayNow(running));
        nextLogin = performance.now() + NEWCOMER_EVERY_MS;
      }
      killedAt = Date.now();
    }
    await Promise.all(relays);
    const members = (await Promise.all(logins)).flat().map(({ id }) => id);

    await untilActive(running, { timeoutMs: 150_000 });
    await expectWorkingIdentities(running, members);
    await expectNoDoublesNorOrphans(running);
    await expectReconciled(running);
  }, 300_000);
});

/**
 * Kills the workers if one of them, alive since `killedAt`, stands at this step. His row is locked until he is dead,
 * and what he sent meanwhile is not carried out: the step is the last that he stored.
 */
async function killAfter(
  { platform, sql }: RunningPlatform,
  { step, delayMs, killedAt }: { step: string; delayMs: number; killedAt: number },
): Promise<boolean> {
  const leaseOfTheLiving = new Date(Math.max(Date.now(), killedAt + TIMES.test.lease * 1_000));
  return sql.begin(async (tx) => {
    // A death at the last claim would make a row dead, as it should: that is another promise.
    const [found] = await tx`
      SELECT FROM user_pds_mapping
      WHERE provisioning_step = ${step} AND lease_until > ${leaseOfTheLiving} AND NOT EXISTS (
        SELECT FROM pds_provisioning_queue
        WHERE status = 'processing' AND next_retry > now() AND claims >= ${MOST_CLAIMS - 1})
      LIMIT 1 FOR UPDATE`;
    if (!found) return false;
    await sleep(delayMs);
    platform.functions.kill(WORKER);
    await tx`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))`;
    return true;
  });
}
