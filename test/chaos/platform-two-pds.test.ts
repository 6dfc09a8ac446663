import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PdsControls } from '../../infra/local/pds-controls.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { expectWorkingIdentities } from '../e2e/prove-members.ts';
import { fire, logInAll, openPlatform, type RunningPlatform } from '../e2e/running-platform.ts';
import { expectReconciled } from './reconciliation.ts';
import { seededRandom } from './seeded-random.ts';

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
const MEMBERS = 200;
const END_MS = 150_000;
const RELAY_EVERY_MS = 3_000;
/** How many identities are proven by clients of their own; the others by what the PDSs say of them. */
const PROVEN = 25;

/** Hybrid, in stage `test` (HTTP 2 s, quarantine 8 s), without the limits that would make 200 accounts last for minutes. */
describe('two PDSs that fail in turn', () => {
  let running: RunningPlatform;
  beforeAll(async () => {
    running = await openPlatform({ mode: 'hybrid', rateLimits: false });
  });
  afterAll(() => running?.close());

  /** Each leaves its PDS well again. */
  const faults: Record<string, (pds: PdsControls) => Promise<void>> = {
    killed: async (pds) => pds.kill(),
    async 'hanging for longer than the quarantine'(pds) {
      pds.pause();
      await sleep((TIMES.test.quarantine + TIMES.test.http) * 1_000);
      pds.resume();
    },
    async slow(pds) {
      for (let pulse = 0; pulse < 16; pulse += 1) {
        pds.pause();
        await sleep(350);
        pds.resume();
        await sleep(150);
      }
    },
    async 'cut off'(pds) {
      await pds.stop();
      await sleep(6_000);
      await pds.start();
    },
  };

  it(`while ${MEMBERS} members are provisioned and checked cost nobody his identity, and leave nothing twice (CHAOS_SEED=${SEED})`, {
    timeout: 400_000,
  }, async () => {
    const random = seededRandom(SEED);
    const { pds, remotePds } = running.platform;
    if (!remotePds) throw new Error('there is no second PDS');
    const members: string[] = [];
    let over = false;
    const plan = Object.entries(faults)
      .flatMap(([name, fault]) => [pds, remotePds].map((victim) => ({ name, fault, victim, at: random() })))
      .toSorted((a, b) => a.at - b.at);
    const relaying = (async () => {
      for (; !over; await sleep(RELAY_EVERY_MS)) await relayOften();
    })();
    try {
      for (const { name, fault, victim } of plan) {
        members.push(...(await logInWave(Math.ceil(MEMBERS / plan.length))));
        // Somewhere in the middle of it.
        await sleep(random() * 1_500);
        const which = victim === pds ? 'local' : 'remote';
        console.log(`${which} ${name}, ${await countActive()} of ${members.length} active`);
        await fault(victim);
      }
      await expect.poll(openWork, { timeout: END_MS, interval: 1_000 }).toEqual([]);
      await expect.poll(openOrphans, { timeout: END_MS, interval: 1_000 }).toBe(0);
    } finally {
      over = true;
      await relaying;
    }

    const { active } = await expectReconciled(running);
    expect(active).toBeGreaterThanOrEqual(0.9 * members.length);
    await expectWorkingIdentities(running, await someActive(members, random));
  });

  /** The relay's minute, and that of a check that failed, are shortened to seconds, as all times are in this stage. */
  async function relayOften(): Promise<void> {
    // The second PDS has no limit either, which only its operator could tell us.
    await running.sql`UPDATE pds_providers SET creations = '{}' WHERE cardinality(creations) > 0`;
    await running.sql`
      UPDATE pds_provisioning_queue SET next_retry = least(next_retry, now() + interval '3 seconds')
      WHERE action = 'verify' AND status = 'pending' AND parked_reason IS NULL`;
    await running.sql`
      UPDATE pds_provisioning_queue SET sent_at = sent_at - interval '1 minute'
      WHERE status IN ('pending', 'processing') AND sent_at <= now() - interval '5 seconds'`;
    await fire(running.platform, /relay-every-minute/);
  }

  async function logInWave(size: number): Promise<string[]> {
    const nameless = Array.from({ length: size }, () => undefined);
    return (await logInAll(running, nameless)).map(({ id }) => id);
  }

  async function countActive(): Promise<number> {
    const [row] = await running.sql`SELECT count(*) AS active FROM user_pds_mapping WHERE status = 'active'`;
    return row?.active;
  }

  /** What is not over: no identity is being made any more, and no check waits. */
  async function openWork(): Promise<unknown[]> {
    const rows = await running.sql`
      SELECT q.id, q.action, q.status, q.attempt_count, q.claims, q.next_retry, q.sent_at, q.parked_reason, q.error_details,
        m.provisioning_step, m.provider_id, m.create_started_at, m.lease_until
      FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
      WHERE q.status IN ('pending', 'processing') ORDER BY q.id LIMIT 20`;
    return [...rows];
  }

  /** What is not known yet; whoever looks is not kept waiting for his five minutes. */
  async function openOrphans(): Promise<number> {
    await running.sql`UPDATE pds_possible_orphans SET look_at = NULL WHERE state IN ('possible', 'closing')`;
    await fire(running.platform, /reconcile-orphans/);
    const [row] = await running.sql`
      SELECT count(*) AS open FROM pds_possible_orphans o JOIN user_pds_mapping m USING (user_id)
      WHERE o.state IN ('possible', 'closing') AND m.status = 'active'`;
    return row?.open;
  }

  async function someActive(members: readonly string[], random: () => number): Promise<string[]> {
    const active = await running.sql<{ user_id: string }[]>`
      SELECT user_id FROM user_pds_mapping WHERE status = 'active' AND user_id IN ${running.sql(members)}`;
    return active
      .map(({ user_id }) => ({ user_id, at: random() }))
      .toSorted((a, b) => a.at - b.at)
      .slice(0, PROVEN)
      .map(({ user_id }) => user_id);
  }
});
