import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MOST_CLAIMS } from '../../lib/provisioning/claim.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from '../e2e/prove-members.ts';
import {
  logInAll,
  openPlatform,
  type RunningPlatform,
  relayNow,
  untilActive,
  WORKER,
} from '../e2e/running-platform.ts';
import { seededRandom } from './seeded-random.ts';

const MEMBERS = 12;
const KILLING_MS = 18_000;
const LONGEST_LIFE_MS = 900;
const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

describe('a worker that is killed', () => {
  let running: RunningPlatform;
  beforeAll(async () => {
    running = await openPlatform();
  });
  afterAll(() => running?.close());

  it(`at any moment leaves everybody with one working identity in the end (CHAOS_SEED=${SEED})`, async () => {
    const random = seededRandom(SEED);
    const logins: Promise<{ id: string }[]>[] = [];
    const relays: Promise<void>[] = [];
    /** By member and claim: the step after which his worker died. */
    const interrupted = new Map<string, string>();
    const until = performance.now() + KILLING_MS;
    for (let round = 0; performance.now() < until || logins.length < MEMBERS; round += 1) {
      if (logins.length < MEMBERS) logins.push(logInAll(running, [`member_${logins.length}`]));
      if (round % 2 === 0) relays.push(relayNow(running));
      await sleep(random() * LONGEST_LIFE_MS);
      const atWork = await running.sql<{ user_id: string; epoch: number; step: string; claims: number }[]>`
        SELECT user_id, m.epoch, m.provisioning_step AS step, q.claims
        FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
        WHERE q.status = 'processing' AND q.action = 'create' AND m.lease_until > now()`;
      // One more death would make the row dead, as it should: that is another promise.
      if (atWork.some(({ claims }) => claims >= MOST_CLAIMS - 1)) continue;
      for (const { user_id, epoch, step } of atWork) {
        const claim = `${user_id} ${epoch}`;
        if (!interrupted.has(claim)) interrupted.set(claim, step);
      }
      running.platform.functions.kill(WORKER);
    }
    await Promise.all(relays);
    const members = (await Promise.all(logins)).flat().map(({ id }) => id);
    console.log(`CHAOS_SEED=${SEED}: workers killed after`, countByValue(interrupted));
    expect(interrupted.size).toBeGreaterThan(5);

    await untilActive(running, { timeoutMs: 90_000 });
    await expectWorkingIdentities(running, members);
    await expectNoDoublesNorOrphans(running);
  }, 180_000);
});

function countByValue(map: ReadonlyMap<string, string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of map.values()) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
