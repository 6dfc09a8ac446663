import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLog } from '../../../../lib/audit/verify-log.ts';
import { connect } from '../../../../lib/db/connect.ts';
import { findIdentityByHost } from '../../../../lib/identity/hostnames.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { NOTICES } from '../../../../lib/lifecycle/changes/notice.ts';
import { backUpCredentials, backupPlace } from '../../../../lib/lifecycle/custody/backup.ts';
import { approveJoin, consentToJoin } from '../../../../lib/lifecycle/join/agree.ts';
import { requestJoin } from '../../../../lib/lifecycle/join/request.ts';
import { stopJoin } from '../../../../lib/lifecycle/join/stop.ts';
import { LeaseLost, updateIdentity } from '../../../../lib/provisioning/identity.ts';
import { openOrphanPassword, sealOrphanPassword } from '../../../../lib/provisioning/orphans/password.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { openSecret } from '../../../../lib/vault/secrets.ts';
import { freshDatabase } from '../../../setup/database.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';
import { expectWorkingIdentity, opened } from '../../provisioning/working-identity.ts';
import { type Ending, openEnding } from './ending.ts';
import { tracesOf } from './traces.ts';

const ADMIN = '1';
const SECOND = '2';

describe('joining an identity to a new Telegram account', () => {
  let stage: Stage;
  let ending: Ending;
  beforeAll(async () => {
    stage = await openStage();
    ending = await openEnding(stage);
    await ending.db`INSERT INTO users (id) VALUES (${ADMIN}), (${SECOND})`;
  });
  afterAll(async () => {
    await ending.close();
    await stage.close();
  });

  const deps = () => ({ sql: ending.api, notice: NOTICES.production, now: ending.now });
  const request = async (from: string, to: string) =>
    (
      await requestJoin(
        { sql: ending.api },
        { from_user_id: from, to_user_id: to, reason: 'new phone', by: ADMIN },
      )
    ).id;
  const consent = async (joinId: number, userId: string) =>
    consentToJoin(deps(), {
      joinId,
      userId,
      stepUp: await ending.session(userId, 'consentToJoin', String(joinId)),
    });
  const joinOf = async (id: number) => (await ending.db`SELECT * FROM pds_joins WHERE id = ${id}`)[0];
  const logOf = (uuid: string) => ending.db<
    { user_id: string; action: string; details: { happened?: string } }[]
  >`
    SELECT user_id, action, details, created_by FROM pds_provisioning_log WHERE pnptv_uuid = ${uuid} ORDER BY seq`;
  const toldTo = async (userId: string) =>
    (
      await ending.db`SELECT kind FROM telegram_messages WHERE user_id = ${userId} AND kind <> 'ready' ORDER BY id`
    ).map(({ kind }) => kind);

  /** Two accounts, each with an identity. */
  async function accounts() {
    const [from = '', to = ''] = await ending.members(2);
    await ending.db`UPDATE users SET bot_language = 'en' WHERE id IN (${from}, ${to})`;
    return { from, to, old: await identityOf(ending.bench, from), fresh: await identityOf(ending.bench, to) };
  }

  /** All have agreed, and the time is over; returns the work. */
  async function agreed({ from, to }: { from: string; to: string }) {
    const joinId = await request(from, to);
    await consent(joinId, to);
    await consent(joinId, from);
    await ending.letTimePass();
    const [work] = await ending.db<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue
      WHERE user_id = ${from} AND action = 'join' AND status IN ('pending', 'processing')`;
    return { joinId, work: work.id };
  }

  const openBackupsOf = async (userId: string) => {
    const rows = await ending.db<{ id: number; body: string; iv: string; tag: string }[]>`
      SELECT id, backup_data_encrypted AS body, backup_iv AS iv, backup_auth_tag AS tag
      FROM pds_credential_backups WHERE user_id = ${userId}`;
    const open = (row: (typeof rows)[number]) =>
      openSecret(ending.deps.vault, backupPlace(userId, row.id), row);
    return Promise.all(rows.map(async (row) => JSON.parse(Buffer.from(await open(row)).toString())));
  };

  /** What a worker does that has forgotten everything else. */
  async function carryOut(joinId: number, from: string, to: string) {
    const [mine, theirs] = [await identityOf(ending.bench, from), await identityOf(ending.bench, to)];
    const nothing = { mappings: [], backups: [], orphans: [] };
    await ending.bench.sql`
      SELECT join_identities(${joinId}, ${mine.epoch}, ${theirs.epoch}, ${ending.bench.sql.json(nothing)})`;
  }

  async function expectSwapped({ from, to, old, fresh }: Awaited<ReturnType<typeof accounts>>) {
    const mine = await expectWorkingIdentity(stage, ending.bench, to);
    expect(mine).toMatchObject({
      pnptv_uuid: old.pnptv_uuid,
      pds_did: old.pds_did,
      pds_handle: old.pds_handle,
    });
    const theirs = await expectWorkingIdentity(stage, ending.bench, from);
    expect(theirs).toMatchObject({ pnptv_uuid: fresh.pnptv_uuid, pds_did: fresh.pds_did });
    const open = await ending.db`
      SELECT FROM pds_changes WHERE user_id IN (${from}, ${to}) AND ended_at IS NULL`;
    expect(open).toHaveLength(0);
  }

  it('swaps the identities of both accounts, with all that belongs to them, and opens every secret in its new place', async () => {
    const both = await accounts();
    const { from, to, old } = both;
    const { bench, db } = ending;
    const { vault } = bench.deps;
    const dataKey = old.data_key_id ?? '';
    const [orphan] = await db<[{ id: number }]>`SELECT nextval('pds_possible_orphans_id_seq') AS id`;
    const left = {
      id: orphan.id,
      user_id: from,
      pnptv_uuid: old.pnptv_uuid,
      provider_id: 'local',
      pds_did: old.pds_did,
      account_password_sealed: await sealOrphanPassword(
        vault,
        dataKey,
        { id: orphan.id, user_id: from },
        'left',
      ),
      data_key_id: dataKey,
      create_started_at: new Date(),
      state: 'absent',
    };
    await db`INSERT INTO pds_possible_orphans ${db(left)}`;
    await db`INSERT INTO totp_factors (user_id, secret_sealed) VALUES (${from}, 'stays')`;
    const password = await opened(bench, old, 'account_password_sealed');
    const joinId = await request(from, to);
    expect(await request(from, to)).toBe(joinId);
    expect(await consent(joinId, to)).toMatchObject({ state: 'waiting', due_at: null });
    const { state, due_at } = await consent(joinId, from);
    expect(state).toBe('agreed');
    expect(new Date(due_at ?? 0).getTime() - ending.now().getTime()).toBeGreaterThan(86_000_000);
    await ending.letTimePass();
    const [work] = await db<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${from} AND action = 'join'`;
    const session = await ending.session(to, 'revokeIdentity');
    expect(await performWork(ending.deps, work.id)).toBe('done');
    await expectSwapped(both);
    const mine = await identityOf(bench, to);
    const [due] =
      await db`SELECT next_key_rotation <= now() AS rotates FROM user_pds_mapping WHERE user_id = ${to}`;
    expect(due).toEqual({ rotates: true });
    expect(await opened(bench, mine, 'account_password_sealed')).toBe(password);
    expect(await openBackupsOf(to)).toEqual([expect.objectContaining({ did: old.pds_did })]);
    const [moved] = await db<{ id: number; user_id: string; account_password_sealed: string }[]>`
      SELECT * FROM pds_possible_orphans WHERE id = ${orphan.id}`;
    expect(moved?.user_id).toBe(to);
    expect(moved && (await openOrphanPassword(vault, moved))).toBe('left');
    // What is the account's own stays: the second factor, the sessions of the new one; those of the old one end.
    expect(await db`SELECT user_id FROM totp_factors`).toEqual([{ user_id: from }]);
    expect(await db`SELECT FROM sessions WHERE id = ${session.sessionId}`).toHaveLength(1);
    expect(await db`SELECT FROM sessions WHERE user_id = ${from}`).toHaveLength(0);
    expect(await toldTo(to)).toEqual(['join_asked', 'join_due', 'joined']);
    expect(await toldTo(from)).toEqual(['join_asked', 'join_due', 'parted']);
    expect((await findIdentityByHost(bench.sql, old.pds_handle ?? ''))?.did).toBe(old.pds_did);
    expect(await joinOf(joinId)).toMatchObject({ outcome: 'done' });
    expect(await db`SELECT FROM users WHERE id LIKE 'join:%'`).toHaveLength(0);
    // The log is that of the identity, whosever it was when.
    const log = await logOf(old.pnptv_uuid);
    expect(log).toContainEqual(expect.objectContaining({ user_id: from, action: 'created' }));
    expect(log.filter(({ user_id }) => user_id === to).map(({ action }) => action)).toContain('joined');
    expect(log.flatMap(({ details }) => details.happened ?? [])).toEqual([
      'requested',
      'accepted_at',
      'consented_at',
      'agreed',
    ]);
    expect(await verifyLog(db)).toMatchObject({ broken: null });
  });

  it('keeps away whoever had one of the accounts before: no worker takes the identity there now for his', async () => {
    const both = await accounts();
    const { sql } = ending.bench;
    const { work } = await agreed(both);
    const { from, to, old } = both;
    // The join's own worker claims the one by the very number that a late worker has of the other.
    await ending.db`
      UPDATE user_pds_mapping SET epoch = (SELECT epoch + 1 FROM user_pds_mapping WHERE user_id = ${from}) WHERE user_id = ${to}`;
    const late = [
      await identityOf(ending.bench, to),
      { ...old, epoch: (await identityOf(ending.bench, to)).epoch + 1 },
    ];
    expect(await performWork(ending.deps, work)).toBe('done');
    for (const identity of late)
      await expect(updateIdentity(sql, identity, { account_password_sealed: 'of another' })).rejects.toThrow(
        LeaseLost,
      );
    await expectSwapped(both);
  });

  it('has a second administrator stand in for an account that nobody can use any more, and gives it three days', async () => {
    const both = await accounts();
    const { from, to, old } = both;
    const joinId = await request(from, to);
    for (const by of [ADMIN, from, to])
      await expect(approveJoin(deps(), { joinId, by })).rejects.toMatchObject({
        code: 'SECOND_ADMIN_REQUIRED',
      });
    expect(await approveJoin(deps(), { joinId, by: SECOND })).toMatchObject({ state: 'waiting' });
    const { due_at } = await consent(joinId, to);
    expect(new Date(due_at ?? 0).getTime() - ending.now().getTime()).toBeGreaterThan(2.9 * 86_400_000);
    await ending.letTimePass();
    const [work] = await ending.db<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${from} AND action = 'join'`;
    expect(await performWork(ending.deps, work.id)).toBe('done');
    await expectSwapped(both);
    expect(await joinOf(joinId)).toMatchObject({
      requested_by: ADMIN,
      approved_by: SECOND,
      consented_at: null,
    });
    const authors = (await logOf(old.pnptv_uuid)).map(
      (row) => (row as unknown as { created_by: string }).created_by,
    );
    expect(authors).toEqual(expect.arrayContaining([ADMIN, SECOND]));
  });

  it('takes two administrators whose own account it is not', async () => {
    const { from, to } = await accounts();
    const wish = { from_user_id: from, to_user_id: to, reason: 'mine now' };
    const { id: joinId } = await requestJoin({ sql: ending.api }, { ...wish, by: to });
    await consent(joinId, to);
    await expect(approveJoin(deps(), { joinId, by: SECOND })).rejects.toMatchObject({
      code: 'SECOND_ADMIN_REQUIRED',
    });
    expect(await consent(joinId, from)).toMatchObject({ state: 'agreed' });
  });

  it('never happens without the new account, nor by one administrator alone', async () => {
    const { from, to } = await accounts();
    const joinId = await request(from, to);
    expect(await approveJoin(deps(), { joinId, by: SECOND })).toMatchObject({ state: 'waiting' });
    expect(await consent(joinId, from)).toMatchObject({ state: 'waiting' });
    expect(await ending.db`SELECT FROM pds_changes WHERE user_id IN (${from}, ${to})`).toHaveLength(0);
    await expect(carryOut(joinId, from, to)).rejects.toMatchObject({ code: '23000' });
    await stopJoin({ sql: ending.api }, { joinId, outcome: 'withdrawn', by: ADMIN });
    const another = await request(from, to);
    expect(await consent(another, to)).toMatchObject({ state: 'waiting' });
    await expect(consent(joinId, from)).rejects.toMatchObject({ code: 'JOIN_NOT_OPEN' });
    await expect(consent(another, ADMIN)).rejects.toMatchObject({ code: 'JOIN_NOT_FOUND' });
  });

  it.each(['from', 'to'] as const)(
    'is off when the account %s refuses, by whichever way, until it begins',
    async (side) => {
      const both = await accounts();
      const userId = both[side];
      const first = await agreed(both);
      await stopJoin({ sql: ending.api }, { joinId: first.joinId, outcome: 'refused', by: userId, userId });
      expect(await performWork(ending.deps, first.work)).toBe('settled');
      expect(await joinOf(first.joinId)).toMatchObject({ outcome: 'refused' });
      for (const account of [both.from, both.to])
        expect(await toldTo(account)).toEqual(['join_asked', 'join_due', 'join_off']);
      const second = await agreed(both);
      const [change] = await ending.db<[{ id: number }]>`
      SELECT id FROM pds_changes WHERE user_id = ${userId} AND ended_at IS NULL`;
      await cancelChange({ sql: ending.api }, { userId, changeId: change.id, by: userId });
      expect(await performWork(ending.deps, second.work)).toBe('settled');
      expect(
        await ending.db`
      SELECT FROM pds_changes WHERE user_id IN (${both.from}, ${both.to}) AND ended_at IS NULL`,
      ).toHaveLength(0);
      expect((await identityOf(ending.bench, both.from)).pds_did).toBe(both.old.pds_did);
      // Nothing stands in the way of the next one.
      const third = await agreed(both);
      expect(await performWork(ending.deps, third.work)).toBe('done');
      await expect(
        stopJoin({ sql: ending.api }, { joinId: third.joinId, outcome: 'refused', by: userId, userId }),
      ).rejects.toMatchObject({ code: 'JOIN_NOT_OPEN' });
    },
  );

  it('lapses after a week, and is refused for whom it cannot be', async () => {
    const { from, to } = await accounts();
    const { userId: newcomer } = await ending.bench.member();
    await expect(request(from, from)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(request(from, '999')).rejects.toMatchObject({ code: 'MEMBER_NOT_FOUND' });
    await expect(request(newcomer, to)).rejects.toMatchObject({ code: 'IDENTITY_NOT_READY' });
    const joinId = await request(from, to);
    await expect(request(from, newcomer)).rejects.toMatchObject({ code: 'JOIN_IN_PROGRESS' });
    await ending.db`UPDATE pds_joins SET expires_at = now() WHERE id = ${joinId}`;
    await expect(consent(joinId, to)).rejects.toMatchObject({ code: 'JOIN_NOT_OPEN' });
    expect(await request(from, newcomer)).not.toBe(joinId);
    expect(await joinOf(joinId)).toMatchObject({ outcome: 'expired' });
    expect(await toldTo(to)).toEqual(['join_asked', 'join_off']);
  });

  it('lets no two cross: one of them waits until the other is over', async () => {
    const { from, to } = await accounts();
    const [there, back] = [await request(from, to), await request(to, from)];
    await consent(there, to);
    await consent(back, from);
    await consent(there, from);
    await expect(consent(back, to)).rejects.toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    await ending.letTimePass();
    const [work] = await ending.db<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${from} AND action = 'join'`;
    expect(await performWork(ending.deps, work.id)).toBe('done');
    expect(await consent(back, to)).toMatchObject({ state: 'agreed' });
  });

  it('waits for work that the other account is in, and takes an identity over in the middle of its making', async () => {
    const [from = ''] = await ending.members(1);
    const old = await identityOf(ending.bench, from);
    const { userId: to, queueId } = await ending.bench.member();
    const noAnswer = (async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      if (!String(input).endsWith('createAccount')) return fetch(input, init);
      await fetch(input, init);
      throw new TypeError('fetch failed');
    }) as typeof fetch;
    await performWork({ ...ending.deps, fetch: noAnswer }, queueId);
    expect(await identityOf(ending.bench, to)).toMatchObject({ provisioning_step: 'reserved' });
    const { work } = await agreed({ from, to });
    await ending.db`UPDATE user_pds_mapping SET lease_until = ${new Date(ending.now().getTime() + 60_000)} WHERE user_id = ${to}`;
    expect(await performWork(ending.deps, work)).toBe('parked');
    expect(await rowOf(ending.bench, work)).toMatchObject({ parked_reason: 'member_busy', attempt_count: 0 });
    ending.skip(61_000);
    await ending.untilOver(work);
    await expectWorkingIdentity(stage, ending.bench, to);
    expect((await identityOf(ending.bench, to)).pds_did).toBe(old.pds_did);
    await ending.untilOver(queueId);
    await expectWorkingIdentity(stage, ending.bench, from);
  });

  it('takes damaged secrets along as they are', async () => {
    const both = await accounts();
    const { from, to, old } = both;
    await ending.db`
      UPDATE user_pds_mapping SET pds_access_token = ${both.fresh.pds_access_token} WHERE user_id = ${from}`;
    const { work, joinId } = await agreed(both);
    // But none that is forgotten, whoever forgets it.
    await expect(carryOut(joinId, from, to)).rejects.toThrow('sealed credentials are missing');
    expect((await identityOf(ending.bench, from)).pds_did).toBe(old.pds_did);
    expect(await performWork(ending.deps, work)).toBe('done');
    const mine = await identityOf(ending.bench, to);
    expect(mine.pds_did).toBe(old.pds_did);
    expect(mine.pds_access_token).toBe(both.fresh.pds_access_token);
    await opened(ending.bench, mine, 'account_password_sealed');
  });

  it('sees what was sealed while it sealed, and begins again', async () => {
    const both = await accounts();
    const { from } = both;
    const { work } = await agreed(both);
    const { vault } = ending.bench.deps;
    const { dataKeys } = vault;
    let once = true;
    const slow = {
      ...vault,
      dataKeys: {
        ...dataKeys,
        use: async (...args: Parameters<typeof dataKeys.use>) => {
          if (once) {
            once = false;
            await ending.bench.sql.begin((tx) => backUpCredentials({ tx, vault }, from, 'manual'));
          }
          return dataKeys.use(...args);
        },
      },
    } as typeof vault;
    expect(await performWork({ ...ending.deps, vault: slow }, work)).toBe('parked');
    await ending.untilOver(work);
    const ofOld = expect.objectContaining({ did: both.old.pds_did });
    expect(await openBackupsOf(both.to)).toEqual([ofOld, ofOld]);
  });

  it('leaves nothing of either account when both are deleted, in whichever order', {
    timeout: 60_000,
  }, async () => {
    for (const order of [['from', 'to'] as const, ['to', 'from'] as const]) {
      const both = await accounts();
      const { work } = await agreed(both);
      expect(await performWork(ending.deps, work)).toBe('done');
      const [first, second] = [both[order[0]], both[order[1]]];
      await ending.db`UPDATE users SET first_name = 'Bob' WHERE id = ${first}`;
      expect(await ending.untilOver(await ending.deletion(first))).toBeUndefined();
      const left = await tracesOf(ending.db, first);
      // The log of the identity that he had before names him as long as it lives.
      expect(left).toEqual(
        order[0] === 'from'
          ? ['pds_provisioning_log.created_by', 'pds_provisioning_log.user_id', 'users.id']
          : left,
      );
      expect(await ending.db`SELECT FROM users WHERE id = ${first} AND first_name IS NOT NULL`).toHaveLength(
        0,
      );
      await expectWorkingIdentity(stage, ending.bench, second);
      expect(await ending.untilOver(await ending.deletion(second))).toBeUndefined();
      for (const gone of [first, second]) expect(await tracesOf(ending.db, gone)).toEqual([]);
    }
    expect(await verifyLog(ending.db)).toMatchObject({ broken: null });
  });

  it('comes to the same end, whenever its worker dies', { timeout: 120_000 }, async () => {
    const [one = '', two = ''] = await ending.members(2);
    let moment = 0;
    for (let over = false; !over; ) {
      moment += 1;
      // There and back again.
      const [from, to] = moment % 2 === 1 ? [one, two] : [two, one];
      const [old, fresh] = [await identityOf(ending.bench, from), await identityOf(ending.bench, to)];
      const { work } = await agreed({ from, to });
      const { deps: mortals, life } = mortal(ending.deps, moment);
      const result = await performWork(mortals, work).catch(() => 'died');
      over = result === 'done' && !life.dead;
      const row = await ending.untilOver(work);
      expect(row, `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({ status: 'completed' });
      await expectSwapped({ from, to, old, fresh });
    }
    expect(moment).toBeGreaterThan(10);
    expect(await verifyLog(ending.db)).toMatchObject({ broken: null });
  });
});

describe('what names a member', () => {
  it('is known: whoever adds a table or a sealed value has to say whose it is', async () => {
    const database = await freshDatabase();
    const sql = connect(database.superuserUrl);
    try {
      const tables = await sql`SELECT name, of_account FROM tables_of_members() ORDER BY of_account, name`;
      expect(tables.filter(({ of_account }) => of_account).map(({ name }) => name)).toEqual([
        'login_tokens',
        'sessions',
        'step_ups',
        'telegram_messages',
        'totp_factors',
      ]);
      const sealed = await sql`
        SELECT table_name || '.' || column_name AS place FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name ~ 'sealed|encrypted|token$' AND column_name !~ 'hash|hmac'
          AND table_name NOT LIKE 'pds_health_checks_%' ORDER BY 1`;
      expect(sealed.map(({ place }) => place)).toEqual(SEALED);
    } finally {
      await sql.end();
      await database.drop();
    }
  });
});

/** All of it is sealed anew by a join (lib/lifecycle/join/reseal.ts), but for what says why not. */
const SEALED = [
  'audit_root_blocks.sealed_at', // a time
  'pds_changes.sealed', // of a change that is open: a join has no other beside it
  'pds_credential_backups.backup_data_encrypted',
  'pds_data_keys.sealed_members', // a number
  'pds_possible_orphans.account_password_sealed',
  'totp_factors.secret_sealed', // stays with its account
  'user_pds_mapping.account_password_sealed',
  'user_pds_mapping.bootstrap_key_sealed',
  'user_pds_mapping.pds_access_token',
  'user_pds_mapping.pds_private_key_encrypted',
  'user_pds_mapping.pds_refresh_token',
  'user_pds_mapping.rotation_key_sealed',
];
