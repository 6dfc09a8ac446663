import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from './prove-members.ts';
import { logInAll, openPlatform, type RunningPlatform, untilActive } from './running-platform.ts';

const MEMBERS = 20;
/** Of them, before the outage. */
const RESIDENTS = 14;

describe('npm start -- --mode hybrid', () => {
  let running: RunningPlatform;
  beforeAll(async () => {
    running = await openPlatform({ mode: 'hybrid' });
  }, 300_000);
  afterAll(() => running.close());

  it('runs two PDSs with rate limits, one of which asks for invites', async () => {
    const { platform } = running;
    const invited = await Promise.all(
      [platform.pdsUrl, String(platform.remotePdsUrl)].map(async (url) => {
        const response = await fetch(`${url}/xrpc/com.atproto.server.describeServer`);
        expect(response.headers.get('ratelimit-limit')).not.toBeNull();
        const { inviteCodeRequired } = (await response.json()) as { inviteCodeRequired?: boolean };
        return inviteCodeRequired === true;
      }),
    );
    expect(invited).toEqual([false, true]);
  });

  it('places members on both, and an outage of one in the middle costs nobody his identity', async () => {
    const { platform, sql } = running;
    const names = Array.from({ length: MEMBERS }, (_, n) => `hybrid_${n}`);
    const residents = await logInAll(running, names.slice(0, RESIDENTS));
    await untilActive(running, { timeoutMs: 150_000 });
    const newcomers = logInAll(running, names.slice(RESIDENTS));
    // Killed with creations under way, and started again only when everybody else is through.
    await expect
      .poll(
        () => sql`SELECT FROM user_pds_mapping WHERE status <> 'active' AND create_started_at IS NOT NULL`,
        { interval: 10, timeout: 30_000 },
      )
      .not.toHaveLength(0);
    platform.pds.kill();
    await platform.pds.stop();
    const members = [...residents, ...(await newcomers)].map(({ id }) => id);
    // Those who have no account there yet go to the other; who has one waits for its return.
    await expect
      .poll(
        async () => {
          const [{ waiting }] = await sql<[{ waiting: number }]>`
            SELECT count(*)::int AS waiting FROM user_pds_mapping
            WHERE status <> 'active' AND (provider_id <> 'local' OR provisioning_step IN ('requested', 'reserved'))`;
          return waiting;
        },
        { interval: 500, timeout: 150_000 },
      )
      .toBe(0);
    await platform.pds.start();
    await untilActive(running, { members, timeoutMs: 150_000 });
    await expectWorkingIdentities(running, members);

    await reconcile(running);
    const figures = await expectNoDoublesNorOrphans(running);
    console.log('reconciled with the PDSs themselves:', figures);
    expect(figures.reduce((sum, { active }) => sum + active, 0)).toBe(MEMBERS);
    for (const { active } of figures) expect(active).toBeGreaterThan(0);
    expect(await sql`SELECT FROM user_pds_mapping WHERE status <> 'active'`).toHaveLength(0);
  }, 300_000);
});

/** The reconciler comes when every quarantine is over, and again when it has to look twice. */
async function reconcile({ platform, sql }: RunningPlatform): Promise<void> {
  const schedule = platform.schedules().find(({ id }) => /reconcile-orphans/.test(id));
  if (!schedule) throw new Error('there is no schedule of the reconciler');
  for (let looks = 0; looks < 2; looks += 1) {
    await sql`
      UPDATE pds_possible_orphans SET create_started_at = create_started_at - interval '1 hour',
        absent_since = absent_since - interval '1 hour', look_at = NULL`;
    // Nobody who lives there may have asked since it is back: then the reconciler is the one who tries.
    await sql`UPDATE pds_providers SET breaker_until = now() WHERE breaker_state <> 'closed'`;
    await platform.fire(schedule.id);
  }
  expect(await sql`SELECT FROM pds_possible_orphans WHERE state IN ('possible', 'closing')`).toHaveLength(0);
}
