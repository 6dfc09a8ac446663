import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { verifyLog } from '../../../../lib/audit/verify-log.ts';
import type { Did } from '../../../../lib/brands.ts';
import { findIdentityByHost } from '../../../../lib/identity/hostnames.ts';
import { serveDidJson } from '../../../../lib/identity/serve.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { NOTICES } from '../../../../lib/lifecycle/changes/notice.ts';
import { requestDeletion } from '../../../../lib/lifecycle/delete/request.ts';
import { getRepoStatus } from '../../../../lib/pds/client/accounts.ts';
import { getAccountInfo } from '../../../../lib/pds/client/admin.ts';
import { connectionTo } from '../../../../lib/pds/provider.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf, openStage, rowOf, type Stage, sqlAsOwner } from '../../provisioning/stage.ts';
import { type Ending, openEnding } from './ending.ts';
import { tracesOf } from './traces.ts';

describe('deleting an identity for good', () => {
  let stage: Stage;
  let ending: Ending;
  beforeAll(async () => {
    stage = await openStage();
    ending = await openEnding(stage);
  });
  afterAll(async () => {
    await ending.close();
    await stage.close();
  });

  const accountOf = (did: string) => getAccountInfo(pdsAdmin(stage.pds), did as Did);
  const messagesTo = (userId: string) =>
    ending.db`SELECT kind, details FROM telegram_messages WHERE user_id = ${userId} AND kind = 'deletion'`;
  const ask = async (userId: string) =>
    requestDeletion(
      { sql: ending.api, notice: NOTICES.production, now: ending.now },
      { userId, stepUp: await ending.session(userId, 'deleteAccount') },
    );

  /** Everything by which somebody could be known, of a member and his identity. */
  async function everythingOf(userId: string) {
    const { db, bench } = ending;
    await db`
      UPDATE users SET first_name = ${`First ${userId}`}, last_name = ${`Last ${userId}`}, photo_url = 'https://t.me/x.jpg',
        bot_language = 'es' WHERE id = ${userId}`;
    const { pnptv_uuid, pds_did, pds_handle, account_email, pds_public_key } = await identityOf(
      bench,
      userId,
    );
    return {
      userId,
      uuid: pnptv_uuid,
      did: pds_did ?? '',
      handle: pds_handle ?? '',
      account_email,
      pds_public_key,
    };
  }

  async function expectErased(member: Awaited<ReturnType<typeof everythingOf>>) {
    const { db, bench } = ending;
    const { userId, uuid, did, handle, account_email, pds_public_key } = member;
    for (const gone of [userId, `First ${userId}`, account_email ?? '', pds_public_key ?? ''])
      expect(await tracesOf(db, gone)).toEqual([]);
    expect(await tracesOf(db, did)).toEqual(['hostnames.did']);
    expect(await tracesOf(db, handle)).toEqual(['hostnames.hostname']);
    expect(await tracesOf(db, uuid)).toEqual([
      'pds_erasure_keys.pnptv_uuid',
      'pds_provisioning_log.pnptv_uuid',
    ]);
    const names = await db`
      SELECT hostname, kind, user_id, did, released_at IS NOT NULL AS released FROM hostnames
      WHERE hostname IN (${handle}, ${did.slice('did:web:'.length)}) ORDER BY kind`;
    expect([...names]).toEqual([
      { hostname: did.slice('did:web:'.length), kind: 'did', user_id: null, did, released: true },
      { hostname: handle, kind: 'reserved', user_id: null, did: null, released: true },
    ]);
    expect(await verifyLog(db, { members: [uuid] })).toMatchObject({ members: 1, broken: null });
    const host = did.slice('did:web:'.length);
    expect(() => serveDidJson(undefined, new Date())).toThrow('No identity is served');
    expect(await findIdentityByHost(bench.sql, host)).toBeUndefined();
    expect(await accountOf(did)).toBeUndefined();
  }

  it('waits a day, tells the member, and can be taken back until then', async () => {
    const [userId = ''] = await ending.members(1);
    const { did } = await everythingOf(userId);
    const { changeId, dueAt, account } = await ask(userId);
    expect(account).toBe('deleted');
    expect(dueAt.getTime() - ending.now().getTime()).toBeGreaterThan(86_000_000);
    expect((await ask(userId)).changeId).toBe(changeId);
    expect(await messagesTo(userId)).toEqual([
      { kind: 'deletion', details: { pds_handle: expect.stringMatching(/^@/), due_at: dueAt.toISOString() } },
    ]);
    const [work] = await ending.db<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'delete'`;
    expect(await performWork(ending.deps, work.id)).toBe('waiting');
    expect(await accountOf(did)).toBeDefined();
    await cancelChange({ sql: ending.api }, { userId, changeId, by: userId });
    await ending.letTimePass();
    expect(await performWork(ending.deps, work.id)).toBe('settled');
    expect(await identityOf(ending.bench, userId)).toMatchObject({ status: 'active', pds_did: did });
    expect((await ask(userId)).changeId).not.toBe(changeId);
  });

  it('needs the second factor, and somebody to delete', async () => {
    const { userId } = await ending.bench.member();
    const deps = { sql: ending.api, notice: NOTICES.production, now: ending.now };
    const stepUp = {
      userId,
      sessionId: crypto.randomUUID(),
      operation: 'deleteAccount',
      target: null,
      used: false,
    };
    await expect(requestDeletion(deps, { userId, stepUp })).rejects.toMatchObject({
      code: 'STEP_UP_REQUIRED',
    });
    expect(await ask(userId)).toMatchObject({ account: 'none' });
  });

  it('leaves nothing of the member anywhere but what is never given to anybody else', async () => {
    const { db, api, bench } = ending;
    const [userId = '', neighbour = ''] = await ending.members(2);
    const member = await everythingOf(userId);
    const others = await everythingOf(neighbour);
    await db`INSERT INTO rate_limits (bucket, window_start) VALUES (${`bot:${userId}`}, now()), (${`bot:${neighbour}`}, now())`;
    await db`INSERT INTO telegram_messages (chat_id, kind, language) VALUES (${userId}, 'stranger', 'en')`;
    await db`INSERT INTO totp_factors (user_id, secret_sealed) VALUES (${userId}, 'sealed')`;
    await db`
      INSERT INTO login_tokens (token_hash, kind, user_id, expires_at) VALUES (sha256(${userId}::bytea), 'link', ${userId}, now())`;
    await db`
      INSERT INTO pds_health_checks (user_id, pnptv_uuid, pds_endpoint, check_type, status)
      VALUES (${userId}, ${member.uuid}, 'http://x', 'at_protocol', 'success')`;
    await db`
      INSERT INTO dead_letters (queue_id, user_id, source_queue, message_id, message_body, receive_count, reason)
      SELECT id, NULL, 'q', id || ${`-${userId}`}, '{}', 5, 'WORKER_CRASHED' FROM pds_provisioning_queue WHERE user_id = ${userId}`;
    const [{ storage_id }] = await db<[{ storage_id: string }]>`
      INSERT INTO pds_exports (user_id, pnptv_uuid, contents, ended_at, outcome)
      VALUES (${userId}, ${member.uuid}, 'data', now(), 'ready') RETURNING storage_id`;
    const work = await ending.deletion(userId);
    expect(await ending.untilOver(work)).toBeUndefined();
    await expectErased(member);
    // What lies in the bucket still has to go, and names nobody.
    expect(await db`SELECT storage_id FROM pds_export_remains`).toEqual([{ storage_id }]);
    expect(await identityOf(bench, neighbour)).toMatchObject({ status: 'active', pds_did: others.did });
    expect(await db`SELECT FROM rate_limits WHERE bucket = ${`bot:${neighbour}`}`).toHaveLength(1);
    expect(await verifyLog(db)).toMatchObject({ broken: null });
    // He comes back, and is a stranger.
    await sqlAsOwner(
      bench.database,
      (owner) => owner`INSERT INTO users (id, username) VALUES (${userId}, 'again')`,
    );
    const [row] = await api<[{ id: string }]>`
      WITH made AS (INSERT INTO user_pds_mapping (user_id) VALUES (${userId}) RETURNING user_id, pnptv_uuid)
      INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action) SELECT user_id, pnptv_uuid, 'create' FROM made
      RETURNING id::text`;
    await performWork(ending.deps, row.id);
    const again = await identityOf(bench, userId);
    expect(again).toMatchObject({ status: 'active' });
    expect(again.pds_did).not.toBe(member.did);
    expect(again.pnptv_uuid).not.toBe(member.uuid);
  });

  it('waits for a PDS that is down, and ends when it is back', async () => {
    const [userId = ''] = await ending.members(1);
    const member = await everythingOf(userId);
    const work = await ending.deletion(userId);
    await stage.pds.stop();
    expect(await performWork(ending.deps, work)).toBe('parked');
    expect(await rowOf(ending.bench, work)).toMatchObject({
      parked_reason: 'provider_down',
      attempt_count: 0,
    });
    expect(await identityOf(ending.bench, userId)).toMatchObject({ status: 'revoked' });
    const [change] = await ending.db<
      [{ id: number }]
    >`SELECT id FROM pds_changes WHERE user_id = ${userId} AND ended_at IS NULL`;
    await expect(
      cancelChange({ sql: ending.api }, { userId, changeId: change.id, by: userId }),
    ).rejects.toMatchObject({ code: 'CHANGE_NOT_CANCELLABLE' });
    await stage.restartPds();
    expect(await ending.untilOver(work)).toBeUndefined();
    await expectErased(member);
  });

  it('is not given up because a PDS answers with errors; after a week it does without that one', async () => {
    const [userId = ''] = await ending.members(1);
    await everythingOf(userId);
    const work = await ending.deletion(userId);
    const broken = {
      ...ending.deps,
      fetch: ((input, init) =>
        String(input).endsWith('.deleteAccount')
          ? Promise.resolve(Response.json({ error: 'InternalServerError' }, { status: 500 }))
          : fetch(input, init)) satisfies typeof fetch,
    };
    for (let run = 0; run < 5; run += 1) {
      await ending.letTimePass();
      await performWork(broken, work);
    }
    expect(await rowOf(ending.bench, work)).toMatchObject({
      status: 'pending',
      parked_reason: 'deletion_unfinished',
    });
    const [{ pnptv_uuid }] = await ending.db<[{ pnptv_uuid: string }]>`
      SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}`;
    expect(await ending.db`SELECT DISTINCT kind FROM operator_notices WHERE subject = ${pnptv_uuid}`).toEqual(
      [{ kind: 'deletion_unfinished' }],
    );
    await ending.db`UPDATE pds_changes SET due_at = now() - interval '8 days' WHERE user_id = ${userId}`;
    await ending.db`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${work}`;
    expect(await performWork(broken, work)).toBe('done');
    expect(await tracesOf(ending.db, userId)).toEqual([]);
    await ending.db`DELETE FROM operator_notices`;
  });

  it('forgets after a week also whose PDS never comes back, and says so to operators', async () => {
    const [userId = ''] = await ending.members(1);
    const { account_email } = await everythingOf(userId);
    const work = await ending.deletion(userId);
    const down = {
      ...ending.deps,
      fetch: (() => Promise.reject(new TypeError('fetch failed'))) as typeof fetch,
    };
    expect(await performWork(down, work)).toBe('parked');
    await ending.db`UPDATE pds_changes SET due_at = now() - interval '8 days' WHERE user_id = ${userId}`;
    ending.skip(60_000);
    await performWork(down, work);
    expect(await ending.db`SELECT FROM users WHERE id = ${userId}`).toHaveLength(0);
    expect(await tracesOf(ending.db, userId)).toEqual([]);
    expect(await ending.db`SELECT kind, subject FROM operator_notices WHERE kind = 'account_left'`).toEqual([
      { kind: 'account_left', subject: `${account_email} at local: unreachable` },
    ]);
    await ending.db`UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL, consecutive_failures = 0`;
  });

  it('deactivates where it may not delete, and says so', async () => {
    const [userId = ''] = await ending.members(1);
    const { did, account_email } = await everythingOf(userId);
    const work = await ending.deletion(userId);
    const [provider] = ending.deps.providers;
    if (!provider) throw new Error('no provider');
    const { adminPassword: _, ...plain } = provider;
    await performWork({ ...ending.deps, providers: [plain] }, work);
    expect(await ending.db`SELECT FROM users WHERE id = ${userId}`).toHaveLength(0);
    const pds = connectionTo({ fetch, now: ending.now }, plain, 5_000);
    expect(await getRepoStatus(pds, did as Did)).toMatchObject({ active: false, status: 'deactivated' });
    expect(
      await ending.db`SELECT FROM operator_notices WHERE subject = ${`${account_email} at local: deactivated`}`,
    ).toHaveLength(1);
  });

  it('also forgets who never got an account', async () => {
    const { userId } = await ending.bench.member();
    const work = await ending.deletion(userId);
    expect(await ending.untilOver(work)).toBeUndefined();
    expect(await tracesOf(ending.db, userId)).toEqual([]);
  });

  it('comes to the same end, whenever its worker dies', { timeout: 120_000 }, async () => {
    let moment = 0;
    for (let over = false; !over; ) {
      for (const userId of await ending.members(8)) {
        if (over) break;
        moment += 1;
        const { did } = await everythingOf(userId);
        const work = await ending.deletion(userId);
        const { deps, life } = mortal(ending.deps, moment);
        const result = await performWork(deps, work).catch(() => 'died');
        over = result === 'done' && !life.dead;
        expect(await ending.untilOver(work), `died at ${moment}: ${life.calls.join(', ')}`).toBeUndefined();
        expect(await accountOf(did)).toBeUndefined();
        expect(await tracesOf(ending.db, userId)).toEqual([]);
        if (over) expect(life.calls).toContain('com.atproto.admin.deleteAccount');
      }
    }
    expect(moment).toBeGreaterThan(20);
    expect(await verifyLog(ending.db)).toMatchObject({ broken: null });
  });
});
