import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { restoreBackup } from '../../../../lib/lifecycle/custody/restore.ts';
import { LeaseLost, updateIdentity } from '../../../../lib/provisioning/identity.ts';
import { claim } from '../../../../lib/provisioning/queue/claim.ts';
import { enqueue } from '../../../../lib/provisioning/queue/queue.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { type Fault, faultyNetwork, silence } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';
import { type Custody, openCustody } from './custody.ts';

let stage: Stage;
let custody: Custody;
beforeAll(async () => {
  stage = await openStage();
  custody = await openCustody(stage);
});
afterAll(async () => {
  await custody.close();
  await stage.close();
});

/** Everything of a member that a restore may change. */
async function stateOf(userId: string) {
  const { db } = custody;
  const [mapping] = await db`SELECT * FROM user_pds_mapping WHERE user_id = ${userId}`;
  const backups =
    await db`SELECT id, backup_type, is_used FROM pds_credential_backups WHERE user_id = ${userId} ORDER BY id`;
  const queue =
    await db`SELECT action, status FROM pds_provisioning_queue WHERE user_id = ${userId} ORDER BY id`;
  const stepUps =
    await db`SELECT count(*) AS used FROM step_ups WHERE user_id = ${userId} AND used_at IS NOT NULL`;
  return { mapping, backups: [...backups], queue: [...queue], stepUps: [...stepUps] };
}
const auditOf = async (userId: string) =>
  (
    await custody.db`
      SELECT action, status, error_code FROM pds_provisioning_log WHERE user_id = ${userId} ORDER BY seq DESC`
  ).map(({ action, status, error_code }) => [action, status, error_code].filter(Boolean).join(' '));

/** Runs the check that is waiting and says what it made of the identity. */
async function check(userId: string, changes: Partial<Bench['deps']> = {}): Promise<string> {
  const { bench } = custody;
  const { queueId } = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
  const [before] = await bench.sql`SELECT max(id) AS id FROM pds_health_checks WHERE user_id = ${userId}`;
  await bench.sql`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queueId}`;
  await performWork({ ...bench.deps, ...changes }, queueId);
  const [found] = await bench.sql<[{ status: string }]>`
    SELECT status FROM pds_health_checks
    WHERE user_id = ${userId} AND check_type = 'credentials' AND id > ${before?.id ?? 0}`;
  return found.status;
}

async function expectRestored(userId: string, backupId: number): Promise<void> {
  const { bench, db } = custody;
  const identity = await identityOf(bench, userId);
  expect(identity.lease_until).toBeNull();
  expect(await check(userId)).toBe('success');
  expect(await identityOf(bench, userId)).toMatchObject({ verification_status: 'accessible' });
  expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
  const [backup] = await db`SELECT is_used, used_at FROM pds_credential_backups WHERE id = ${backupId}`;
  expect(backup).toMatchObject({ is_used: true, used_at: expect.any(Date) });
}

const refusal = (code: string) => expect.objectContaining({ code });

describe('a restore', () => {
  it('brings back a password that was lost, after putting what was there into a recovery backup', async () => {
    const { bench, restore } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const before = await identityOf(bench, userId);
    await custody.breakPassword(userId);
    // With admin rights the check itself would set the password of the account.
    const providers = bench.deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    expect(await check(userId, { providers })).toBe('failed');
    const { restoredAt, recoveryBackupId } = await restore(userId, backupId);
    expect(Math.abs(Date.now() - restoredAt.getTime())).toBeLessThan(10_000);
    const after = await identityOf(bench, userId);
    expect(after).toMatchObject({
      credential_version: before.credential_version + 1,
      pds_public_key: before.pds_public_key,
      pds_did: before.pds_did,
      pds_handle: before.pds_handle,
      data_key_id: before.data_key_id,
    });
    expect(after.pds_private_key_encrypted).not.toBe(before.pds_private_key_encrypted);
    expect(await opened(bench, after, 'account_password_sealed')).toBe(
      await opened(bench, before, 'account_password_sealed'),
    );
    expect((await stateOf(userId)).backups.map((b) => [b.backup_type, b.is_used])).toEqual([
      ['auto', false],
      ['manual', true],
      ['recovery', false],
      ['auto', false],
    ]);
    expect((await stateOf(userId)).backups[2]).toMatchObject({ id: recoveryBackupId });
    expect((await auditOf(userId)).slice(0, 3)).toEqual([
      'backup_created success',
      'backup_restored success',
      'backup_created success',
    ]);
    await expectRestored(userId, backupId);
  });

  it('can be undone: what was there before is restored from its recovery backup', async () => {
    const { restore } = custody;
    const userId = await custody.member();
    const { recoveryBackupId } = await restore(userId, await custody.backUp(userId));
    await restore(userId, recoveryBackupId);
    await expectRestored(userId, recoveryBackupId);
  });

  it.each(['account_password_sealed', 'pds_refresh_token', 'pds_private_key_encrypted'] as const)(
    'helps also when %s does not open any more, and keeps it as it was',
    async (column) => {
      const { bench, db, restore } = custody;
      const [userId, other] = [await custody.member(), await custody.member()];
      const backupId = await custody.backUp(userId);
      await db`
        UPDATE user_pds_mapping m SET ${db(column)} = o.${db(column)} FROM user_pds_mapping o
        WHERE m.user_id = ${userId} AND o.user_id = ${other}`;
      await expect(custody.backUp(userId)).rejects.toThrow('does not open');
      const { recoveryBackupId } = await restore(userId, backupId);
      await expectRestored(userId, backupId);
      // It holds nothing that could be restored, and says so.
      await expect(restore(userId, recoveryBackupId)).rejects.toEqual(refusal('BACKUP_REJECTED'));
      expect(await identityOf(bench, userId)).toMatchObject({ status: 'active' });
    },
  );

  it('happens once, of 20 at the same time', async () => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => custody.restore(userId, backupId)),
    );
    const codes = results.map((result) => (result.status === 'fulfilled' ? 'restored' : result.reason.code));
    expect(codes.filter((code) => code === 'restored')).toHaveLength(1);
    expect(new Set(codes)).toEqual(new Set(['restored', 'BACKUP_USED']));
    const { backups, stepUps } = await stateOf(userId);
    expect(backups.filter(({ is_used }) => is_used)).toHaveLength(1);
    expect(backups.filter(({ backup_type }) => backup_type === 'recovery')).toHaveLength(1);
    expect(stepUps).toEqual([{ used: 1 }]);
    await expectRestored(userId, backupId);
  });

  it('of two backups at the same time is one restore, and the other stays as it is', async () => {
    const userId = await custody.member();
    const ids = [await custody.backUp(userId), await custody.backUp(userId)];
    let arrived = 0;
    let open = () => {};
    const bothThere = new Promise<void>((resolve) => {
      open = resolve;
    });
    const network = faultyNetwork(({ send }) => {
      arrived += 1;
      if (arrived === 2) open();
      return bothThere.then(send);
    });
    const results = await Promise.allSettled(
      ids.map((id) => custody.restore(userId, id, { fetch: network.fetch })),
    );
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.map(({ reason }) => reason.code)).toEqual(['RESTORE_IN_PROGRESS']);
    const { backups } = await stateOf(userId);
    expect(backups.filter(({ is_used }) => is_used)).toHaveLength(1);
    const left = ids[results.findIndex(({ status }) => status === 'rejected')] ?? 0;
    await custody.restore(userId, left);
    await expectRestored(userId, left);
  });
});

describe('a restore is refused, and changes nothing,', () => {
  /** What must not change, whatever was refused: all but the log. */
  async function expectRefused(
    userId: string,
    backupId: number,
    code: string,
    changes: Parameters<Custody['restore']>[2] = {},
  ) {
    const before = await stateOf(userId);
    await expect(custody.restore(userId, backupId, changes)).rejects.toEqual(refusal(code));
    expect(await stateOf(userId)).toEqual(before);
  }

  it('of a backup that is not there, or another member’s', async () => {
    const [userId, other] = [await custody.member(), await custody.member()];
    await expectRefused(userId, await custody.backUp(other), 'BACKUP_NOT_FOUND');
    await expectRefused(userId, 999_999_999, 'BACKUP_NOT_FOUND');
  });

  it('of one that has expired, but never of the newest', async () => {
    const userId = await custody.member();
    const [older, newest] = [await custody.backUp(userId), await custody.backUp(userId)];
    await custody.db`UPDATE pds_credential_backups SET expires_at = now() - interval '1 year' WHERE user_id = ${userId}`;
    await expectRefused(userId, older, 'BACKUP_EXPIRED');
    await custody.restore(userId, newest);
    await expectRefused(userId, newest, 'BACKUP_USED');
    // Now the newest is the one that was made of what was proven.
    await expectRefused(userId, older, 'BACKUP_EXPIRED');
    const fresh = (await stateOf(userId)).backups.at(-1);
    await custody.restore(userId, fresh?.id);
  });

  it('of one whose password the PDS no longer accepts; the log says so, the second factor is kept', async () => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    await custody.setPassword(userId, 'chosen by the operator');
    await expectRefused(userId, backupId, 'BACKUP_REJECTED');
    expect((await auditOf(userId))[0]).toBe('backup_restored failed BACKUP_REJECTED');
  });

  it('of one whose key was revoked', async () => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    await custody.db`UPDATE pds_verification_keys SET state = 'revoked' WHERE user_id = ${userId}`;
    const network = faultyNetwork(() => undefined);
    await expectRefused(userId, backupId, 'BACKUP_REJECTED', { fetch: network.fetch });
    expect(network.asked).toEqual([]);
  });

  it('when the PDS opens a session of somebody else', async () => {
    const userId = await custody.member();
    const answer = { did: 'did:web:other.pnptv.test', accessJwt: 'a', refreshJwt: 'r' };
    const network = faultyNetwork(() => Promise.resolve(Response.json(answer)));
    await expectRefused(userId, await custody.backUp(userId), 'BACKUP_REJECTED', { fetch: network.fetch });
  });

  const faults: [string, Fault][] = [
    ['cannot be reached', () => Promise.reject(Object.assign(new TypeError(), { code: 'ECONNREFUSED' }))],
    ['has a bad day', () => Promise.resolve(new Response('oops', { status: 500 }))],
    ['stands behind something else', () => Promise.resolve(new Response('<html>', { status: 404 }))],
    ['is too busy', () => Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 }))],
    ['answers, but too late', ({ send }) => send().then(silence)],
  ];
  it.each(faults)('while the PDS %s', async (_, fault) => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    await expectRefused(userId, backupId, 'UNAVAILABLE', {
      fetch: faultyNetwork(fault).fetch,
    });
    expect((await auditOf(userId))[0]).toBe('backup_restored failed UNAVAILABLE');
    await custody.restore(userId, backupId);
  });

  it('while the PDS is stopped', async () => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    await stage.pds.stop();
    await expectRefused(userId, backupId, 'UNAVAILABLE').finally(() => stage.restartPds());
    await custody.restore(userId, backupId);
    await expectRestored(userId, backupId);
  });

  it('without a second factor, or with one for another backup: the PDS is not even asked', async () => {
    const userId = await custody.member();
    const [backupId, other] = [await custody.backUp(userId), await custody.backUp(userId)];
    const stepUp = { ...(await custody.stepUp(userId, other)), target: String(backupId) };
    const network = faultyNetwork(() => undefined);
    const deps = { ...custody.deps, fetch: network.fetch };
    await expect(restoreBackup(deps, { userId, backupId, stepUp })).rejects.toEqual(
      refusal('STEP_UP_REQUIRED'),
    );
    expect(network.asked).toEqual([]);
  });

  it.each(['error', 'revoked', 'pending'])('while the identity is %s', async (status) => {
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    await custody.db`UPDATE user_pds_mapping SET status = ${status} WHERE user_id = ${userId}`;
    await expectRefused(userId, backupId, 'IDENTITY_NOT_READY');
  });
});

describe('a restore and a worker', () => {
  it('wait for each other for a while', async () => {
    const { db } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const leaseFor = (time: string) =>
      db`UPDATE user_pds_mapping SET lease_until = clock_timestamp() + ${time}::interval WHERE user_id = ${userId}`;
    await leaseFor('1 hour');
    const before = await stateOf(userId);
    await expect(custody.restore(userId, backupId, { patienceMs: 300 })).rejects.toEqual(
      refusal('RESTORE_IN_PROGRESS'),
    );
    expect(await stateOf(userId)).toEqual(before);
    await leaseFor('600 ms');
    await custody.restore(userId, backupId);
    await expectRestored(userId, backupId);
  });

  it('that was given up on can write nothing any more', async () => {
    const { bench, db } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const { queueId } = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
    const claimed = await claim(bench.deps, queueId);
    if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
    await db`UPDATE user_pds_mapping SET lease_until = now() WHERE user_id = ${userId}`;
    await custody.restore(userId, backupId);
    const after = await identityOf(bench, userId);
    await expect(
      updateIdentity(bench.sql, claimed.identity, { pds_refresh_token: 'stale' }),
    ).rejects.toBeInstanceOf(LeaseLost);
    expect(await identityOf(bench, userId)).toEqual(after);
    await db`UPDATE pds_provisioning_queue SET next_retry = now() WHERE user_id = ${userId}`;
    await expectRestored(userId, backupId);
  });
});

it('a backup that is asked for during a restore is one of what it puts in place', async () => {
  const { db, deps } = custody;
  const userId = await custody.member();
  await custody.backUp(userId);
  const { resolve: isReplaced, promise: replaced } = Promise.withResolvers<void>();
  const { resolve: commit, promise: committing } = Promise.withResolvers<void>();
  const restoring = db.begin(async (tx) => {
    await tx`
      UPDATE user_pds_mapping SET account_password_sealed = 'just restored' WHERE user_id = ${userId}`;
    isReplaced();
    await committing;
  });
  await replaced;
  const backup = custody.backUp(userId).then(
    () => 'of what was there before',
    (error) => error.code,
  );
  const waiting = () => db`SELECT FROM pg_locks WHERE NOT granted`;
  for (let n = 0; n < 40 && (await waiting()).length === 0; n += 1) await deps.sql`SELECT pg_sleep(0.01)`;
  commit();
  await restoring;
  // It does not open: so it is what was read.
  expect(await backup).toBe('SEALED_VALUE_INVALID');
});

describe('a restore that dies', () => {
  /** Tries again and again, dying a moment later each time, until it gets through alive. */
  async function dieEverywhere(
    attempt: (userId: string, backupId: number, moment: number) => Promise<boolean>,
  ) {
    const userId = await custody.member();
    let backupId = await custody.backUp(userId);
    for (let moment = 1; ; moment += 1) {
      const before = await stateOf(userId);
      const died = await attempt(userId, backupId, moment);
      const after = await stateOf(userId);
      if (!died) return { userId, backupId, moments: moment };
      if (after.backups.some(({ id, is_used }) => id === backupId && is_used)) {
        await expectRestored(userId, backupId);
        backupId = await custody.backUp(userId);
      } else expect(after, `died at ${moment}`).toEqual(before);
    }
  }

  it('between any two of its calls leaves all as it was, or all restored', async () => {
    const { userId, backupId, moments } = await dieEverywhere(async (member, backup, moment) => {
      const { deps, life } = mortal({ ...custody.deps, sqs: stage.sqsClient }, moment);
      await custody.restore(member, backup, deps).catch(() => {});
      return life.dead;
    });
    expect(moments).toBeGreaterThan(8);
    await expectRestored(userId, backupId);
  });

  it('or cannot open or seal something leaves all as it was', async () => {
    const { userId, backupId, moments } = await dieEverywhere(async (member, backup, moment) => {
      let uses = 0;
      const dataKeys: Custody['vault']['dataKeys'] = {
        ...custody.vault.dataKeys,
        use(id, work) {
          uses += 1;
          if (uses === moment) throw new Error('KMS does not answer');
          return custody.vault.dataKeys.use(id, work);
        },
      };
      const vault = { ...custody.vault, dataKeys };
      return custody.restore(member, backup, { vault }).then(
        () => false,
        () => true,
      );
    });
    expect(moments).toBeGreaterThan(8);
    await expectRestored(userId, backupId);
  });

  it('with its connection in the middle of its transaction leaves all as it was', async () => {
    const { db } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const before = await stateOf(userId);
    let uses = 0;
    const dataKeys: Custody['vault']['dataKeys'] = {
      ...custody.vault.dataKeys,
      async use(id, work) {
        uses += 1;
        // One for the backup, four for what it held: the sixth is within the transaction.
        if (uses === 6)
          await db`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'pds_api' AND state LIKE 'idle in%'`;
        return custody.vault.dataKeys.use(id, work);
      },
    };
    await expect(
      custody.restore(userId, backupId, { vault: { ...custody.vault, dataKeys } }),
    ).rejects.toThrow();
    expect(uses).toBeGreaterThanOrEqual(6);
    expect(await stateOf(userId)).toEqual(before);
    await custody.restore(userId, backupId);
    await expectRestored(userId, backupId);
  });
});
