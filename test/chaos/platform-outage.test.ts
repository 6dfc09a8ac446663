import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TIMES } from '../../lib/provisioning/times.ts';
import { call, type IdentityInfo } from '../e2e/member-journey.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from '../e2e/prove-members.ts';
import {
  logInAll,
  openPlatform,
  type RunningPlatform,
  relayNow,
  untilActive,
} from '../e2e/running-platform.ts';
import { expectReconciled } from './reconciliation.ts';

const MEMBERS = ['walter', 'jesse', 'saul_good', 'kim', 'mike'];
const LOGIN_MS = 10_000;

/** In stage `test`: HTTP 2 s, quarantine 8 s. The relay's minute is shortened by hand: see `relayNow`. */
describe('a PDS that fails', () => {
  let running: RunningPlatform;
  beforeAll(async () => {
    running = await openPlatform();
  });
  afterAll(() => running?.close());

  const idsOf = (members: readonly { id: string }[]) => members.map(({ id }) => id);
  const rowsOf = (members: readonly { id: string }[]) =>
    running.sql<{ status: string; attempt_count: number; parked_reason: string | null }[]>`
      SELECT status, attempt_count, parked_reason FROM pds_provisioning_queue
      WHERE user_id IN ${running.sql(idsOf(members))} AND action = 'create'`;
  const createStarted = (members: readonly { id: string }[]) =>
    running.sql`
      SELECT FROM user_pds_mapping
      WHERE user_id IN ${running.sql(idsOf(members))} AND create_started_at IS NOT NULL`;
  const infoOf = async ({ cookie }: { cookie: string }) =>
    (await call<IdentityInfo>(running.platform, 'GET', '/api/pds/info', { cookie })).data;

  it('is down while members log in: they get in at once and wait, nothing is spent or lost, and all end active', async () => {
    await running.platform.pds.stop();
    const begun = performance.now();
    const members = await logInAll(running, MEMBERS);
    expect(performance.now() - begun).toBeLessThan(LOGIN_MS);

    const waiting = { status: 'pending', attempt_count: 0, parked_reason: 'provider_down' };
    await expect
      .poll(() => relayNow(running).then(() => rowsOf(members)), { interval: 1_000, timeout: 30_000 })
      .toEqual(MEMBERS.map(() => waiting));
    for (const info of await Promise.all(members.map(infoOf))) {
      expect(info).toMatchObject({ status: 'pending', provisioning_step: 'reserved', error: null });
    }

    await running.platform.pds.start();
    await untilActive(running, { members: idsOf(members), timeoutMs: 150_000 });
    expect((await rowsOf(members)).every(({ attempt_count }) => attempt_count === 0)).toBe(true);
    await expectWorkingIdentities(running, idsOf(members));
    await expectNoDoublesNorOrphans(running);
    await expectReconciled(running);
  }, 300_000);

  it('hangs for longer than the quarantine with createAccount unread, and wakes up: each gets one account', async () => {
    running.platform.pds.pause();
    const members = await logInAll(running, ['hank', 'marie', 'gus']);
    try {
      await expect.poll(() => createStarted(members), { timeout: 15_000 }).not.toHaveLength(0);
      const awake = performance.now() + (TIMES.test.quarantine + 2 * TIMES.test.http) * 1_000;
      while (performance.now() < awake) {
        await relayNow(running);
        await sleep(1_000);
      }
    } finally {
      running.platform.pds.resume();
    }
    await untilActive(running, { members: idsOf(members), timeoutMs: 150_000 });
    await expectWorkingIdentities(running, idsOf(members));
    await expectNoDoublesNorOrphans(running);
    await expectReconciled(running);
  }, 300_000);

  it('is killed while it makes accounts, and comes back: each gets one account', async () => {
    const members = await logInAll(running, ['skyler', 'holly', 'flynn', 'lydia', 'todd', 'badger']);
    await expect.poll(() => createStarted(members), { interval: 10, timeout: 15_000 }).not.toHaveLength(0);
    running.platform.pds.kill();
    await untilActive(running, { members: idsOf(members), timeoutMs: 150_000 });
    await expectWorkingIdentities(running, idsOf(members));
    await expectNoDoublesNorOrphans(running);
    await expectReconciled(running);
  }, 300_000);
});
