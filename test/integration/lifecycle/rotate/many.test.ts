import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logIn } from '../../../../lib/auth/login/log-in.ts';
import type { Secrets } from '../../../../lib/config.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { rotateDue } from '../../../../lib/lifecycle/rotate/rotate-due.ts';
import { sideBySide } from '../../../../lib/lifecycle/sweep/side-by-side.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { modelledStage } from '../../provisioning/modelled-stage.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openBench } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';
import { didOf } from '../sweep/many-accounts.ts';
import { outsideOf } from '../sweep/many-members.ts';
import { makeRotatable, manyPasswords, memberId } from './many-members.ts';
import { storedMemberKey } from './rotations.ts';

const MEMBERS = 1_000;

describe('the regular rotation', () => {
  let bench: Bench;
  let owner: Sql;
  let pds: ReturnType<typeof manyPasswords>;
  const later = () => new Date(Date.now() + 600_000);

  async function open(members: number, { passesLimits = true } = {}) {
    pds = manyPasswords('https://many.pds.test');
    bench = await openBench(modelledStage(pds.url), { fetch: pds.fetch, outside: outsideOf(pds.url) });
    const { rateLimitBypassKey, ...provider } = bench.deps.providers[0] ?? {
      id: '',
      endpoint: '',
      weight: 1,
    };
    bench.deps.providers = [{ ...provider, ...(passesLimits && { rateLimitBypassKey }) }];
    owner = connect(bench.database.superuserUrl, { max: 2 });
    await makeRotatable({ owner, vault: bench.deps.vault, pds }, members);
  }
  async function close() {
    await owner.end();
    await bench.close();
  }

  /** Everybody has new keys, each his own, once; the PDS has the password that is stored. */
  async function expectEverybodyRotated(members: number) {
    const identities = await owner<Identity[]>`SELECT * FROM user_pds_mapping ORDER BY id`;
    expect(identities).toHaveLength(members);
    for (const identity of identities) {
      expect(identity).toMatchObject({ credential_version: 2, lease_until: null, status: 'active' });
      expect(pds.passwords.get(identity.pds_did ?? '')).toBe(
        await opened(bench, identity, 'account_password_sealed'),
      );
      expect(await storedMemberKey(bench, identity)).toBe(identity.pds_public_key);
    }
    const [counts] = await owner`
      SELECT (SELECT count(*)::int FROM pds_changes WHERE outcome = 'done' AND sealed = '{}') AS done,
        (SELECT count(*)::int FROM pds_changes) AS changes,
        (SELECT count(*)::int FROM pds_provisioning_log WHERE action = 'key_rotated') AS logged,
        (SELECT count(*)::int FROM pds_credential_backups) AS backups,
        (SELECT count(*)::int FROM pds_verification_keys WHERE state = 'active') AS active,
        (SELECT count(*)::int FROM pds_verification_keys WHERE state = 'retiring') AS retiring`;
    expect(counts).toEqual({
      done: members,
      changes: members,
      logged: members,
      backups: 2 * members,
      active: members,
      retiring: members,
    });
  }

  describe('of a thousand', () => {
    beforeAll(() => open(MEMBERS));
    afterAll(close);

    it('comes to its end while half of them are logging in, whose identities are checked meanwhile', {
      timeout: 180_000,
    }, async () => {
      const api = connect(bench.database.apiUrl, { max: 4 });
      const sessionSecrets: Secrets = ['s'.repeat(32)];
      const deps = { sql: api, adminIds: [], sessionSecrets, provisioningEnabled: true };
      let logins = 0;
      const logInHalf = async () => {
        const half = Array.from({ length: MEMBERS / 2 }, (_, n) => 2 * n);
        await sideBySide(half, 4, async (n) => {
          const profile = { id: Number(memberId(n)), username: `m${n}`, first_name: 'Member' };
          const { identity, queued } = await logIn(deps, {
            profile,
            loginMethod: 'widget',
            userAgent: undefined,
          });
          expect(identity).toMatchObject({ status: 'active', pds_did: didOf(n) });
          if (queued !== undefined && n % 20 === 0) await performWork(bench.deps, queued);
          logins += 1;
        });
      };
      // Two runs at once, as when one is begun by hand.
      const [first, second] = await Promise.all([
        rotateDue(bench.deps, later()),
        rotateDue(bench.deps, later()),
        logInHalf(),
      ]);
      await api.end();
      expect(logins).toBe(MEMBERS / 2);
      // Whom a check had just then is rotated by the run after, or by the worker if it was written down already.
      let rotated = first.rotated + second.rotated;
      for (let run = 0; rotated < MEMBERS && run < 5; run += 1) {
        rotated += (await rotateDue(bench.deps, later())).rotated;
        const left = await owner<{ id: string }[]>`
          SELECT id::text FROM pds_provisioning_queue WHERE action = 'rotate_keys' AND status = 'pending'`;
        for (const { id } of left) if ((await performWork(bench.deps, id)) === 'done') rotated += 1;
      }
      expect(rotated).toBe(MEMBERS);
      await expectEverybodyRotated(MEMBERS);
      const [sessions] = await owner`SELECT count(*)::int FROM sessions`;
      expect(sessions).toEqual({ count: MEMBERS / 2 });
      const [twice] = await owner`
        SELECT count(*)::int FROM (
          SELECT FROM pds_provisioning_queue WHERE status IN ('pending', 'processing') GROUP BY user_id, action
          HAVING count(*) > 1) AS doubled`;
      expect(twice).toEqual({ count: 0 });
    });

    it('spreads the next ones evenly over the period, whenever they were rotated', async () => {
      const days = await owner<{ tenth: number; members: number }[]>`
        SELECT width_bucket(extract(epoch FROM next_key_rotation - now()), 0, 90 * 86400, 10) AS tenth,
          count(*)::int AS members
        FROM user_pds_mapping GROUP BY 1 ORDER BY 1`;
      expect(days.map(({ tenth }) => tenth)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      for (const { members } of days) expect(Math.abs(members - MEMBERS / 10)).toBeLessThan(50);
    });

    it('spreads as evenly who came on one day', async () => {
      const days = await owner<{ members: number }[]>`
        SELECT count(*)::int AS members FROM (
          SELECT next_key_rotation(gen_random_uuid(), now() + n * interval '8.64 seconds', 90) AS due
          FROM generate_series(0, 9999) AS n) AS made
        GROUP BY due::date`;
      expect(days.length).toBeGreaterThanOrEqual(90);
      // 111 on each, and never by chance so many.
      for (const { members } of days) expect(members).toBeLessThan(180);
    });

    it('brings everybody forward, at his own moment, where it is to come more often', async () => {
      await rotateDue({ ...bench.deps, rotation: { days: 30, graceDays: 7 } }, new Date(0));
      const [late] = await owner`
        SELECT count(*)::int FROM user_pds_mapping WHERE next_key_rotation > now() + interval '30 days'`;
      expect(late).toEqual({ count: 0 });
      const [{ days }] = await owner<[{ days: number }]>`
        SELECT count(DISTINCT next_key_rotation::date)::int AS days FROM user_pds_mapping`;
      expect(days).toBeGreaterThan(25);
    });

    it('takes old keys out of the documents when their time is over', { timeout: 60_000 }, async () => {
      const after = () => new Date(Date.now() + 8 * 86_400_000);
      // A shorter time is one for keys that come after.
      const soon = { now: () => new Date(Date.now() + 2 * 86_400_000), rotation: { days: 90, graceDays: 1 } };
      await owner`UPDATE user_pds_mapping SET next_key_rotation = now() + interval '60 days'`;
      expect(
        await rotateDue({ ...bench.deps, ...soon }, new Date(Date.now() + 3 * 86_400_000)),
      ).toMatchObject({
        rotated: 0,
        retired: 0,
      });
      const { retired } = await rotateDue(
        { ...bench.deps, now: after },
        new Date(Date.now() + 9 * 86_400_000),
      );
      expect(retired).toBe(MEMBERS);
      const states = await owner`
        SELECT state, count(*)::int, bool_and(k.public_key_multibase = m.pds_public_key) AS own
        FROM pds_verification_keys k JOIN user_pds_mapping m USING (user_id)
        WHERE k.key_id IN ('pnptv-1') GROUP BY 1`;
      expect([...states]).toEqual([{ state: 'revoked', count: MEMBERS, own: false }]);
    });
  });

  describe('of a few', () => {
    beforeAll(() => open(60, { passesLimits: false }));
    afterAll(close);

    it('leaves a PDS alone whose circuit is open, and does not begin what the budget does not allow', async () => {
      await owner`UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 hour'`;
      expect(await rotateDue(bench.deps, later())).toMatchObject({ rotated: 0 });
      await owner`
        UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL, sweep_tokens = 21, sweep_tokens_at = now() + interval '1 hour'`;
      expect(await rotateDue(bench.deps, later())).toMatchObject({ rotated: 3 });
      expect(pds.requests()).toBe(6);
    });

    it('skips who has another change under way, is worked on, or does not work', async () => {
      await owner`UPDATE pds_providers SET sweep_tokens = NULL, sweep_tokens_at = NULL`;
      const [moving, leased, broken] = await owner<{ user_id: string }[]>`
        SELECT user_id FROM user_pds_mapping WHERE credential_version = 1 ORDER BY id LIMIT 3`;
      await owner`
        INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by)
        SELECT user_id, pnptv_uuid, 'move', user_id FROM user_pds_mapping WHERE user_id = ${moving?.user_id ?? ''}`;
      await owner`UPDATE user_pds_mapping SET lease_until = now() + interval '1 hour' WHERE user_id = ${leased?.user_id ?? ''}`;
      await owner`UPDATE user_pds_mapping SET verification_status = 'inaccessible' WHERE user_id = ${broken?.user_id ?? ''}`;
      expect(await rotateDue(bench.deps, later())).toMatchObject({ rotated: 54, waiting: 0 });
      await owner`DELETE FROM pds_changes WHERE kind = 'move'`;
      await owner`UPDATE user_pds_mapping SET lease_until = NULL, verification_status = 'accessible'`;
    });

    it('killed at any moment leaves nothing that is done twice or not at all', {
      timeout: 60_000,
    }, async () => {
      let moment = 0;
      for (let died = true; died && moment < 60; ) {
        moment += 3;
        await owner`UPDATE pds_providers SET sweep_tokens = NULL, sweep_tokens_at = NULL`;
        await owner`
          UPDATE user_pds_mapping SET next_key_rotation = now() - interval '1 minute' WHERE user_id IN (
            SELECT user_id FROM user_pds_mapping ORDER BY key_rotation_date NULLS FIRST LIMIT 2)`;
        const { deps, life } = mortal(bench.deps, moment);
        await rotateDue(deps, later()).catch(() => {});
        died = life.dead;
        await owner`UPDATE user_pds_mapping SET lease_until = NULL`;
        const left = await owner<{ id: string }[]>`
          UPDATE pds_provisioning_queue SET next_retry = now()
          WHERE action = 'rotate_keys' AND status IN ('pending', 'processing') RETURNING id::text`;
        for (const { id } of left) await performWork(bench.deps, id);
      }
      expect(moment).toBeGreaterThan(20);
      const [doubled] = await owner`
        SELECT (SELECT count(*)::int FROM pds_changes WHERE ended_at IS NULL) AS open,
          (SELECT sum(credential_version - 1)::int FROM user_pds_mapping)
            - (SELECT count(*)::int FROM pds_provisioning_log WHERE action = 'key_rotated') AS doubled`;
      expect(doubled).toEqual({ open: 0, doubled: 0 });
      const [late] = await owner`SELECT count(*)::int FROM user_pds_mapping WHERE next_key_rotation <= now()`;
      expect(late).toEqual({ count: 0 });
      for (const { user_id } of await owner<{ user_id: string }[]>`SELECT user_id FROM user_pds_mapping`) {
        const identity = await identityOf(bench, user_id);
        expect(pds.passwords.get(identity.pds_did ?? '')).toBe(
          await opened(bench, identity, 'account_password_sealed'),
        );
      }
    });
  });
});
