import { appendAudits } from '../../audit/append.ts';
import type { Queryable } from '../../db/connect.ts';
import { type Identity, updateIdentity } from '../../provisioning/identity.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import type { Run } from '../../provisioning/run.ts';
import { sealForMapping } from '../../provisioning/secrets.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { backupEntry, sealBackup, takeBackupIds } from '../custody/backup.ts';
import type { Credentials } from '../custody/bundle.ts';
import { foundBy, made, openMadePassword } from './made.ts';
import type { Access } from './renew-access.ts';
import { reseal, rotatesMemberKey } from './reseal.ts';

const BACKUP_DAYS = 30;

/**
 * published → done, in one transaction: what there was goes into a `recovery` backup, what is new takes its place and is
 * backed up, the change is over, the audit log says what was rotated and what stayed as it was, and a check is asked for.
 * All of it sealed before, so that nobody's locks wait for KMS.
 */
export async function finish(run: Run, change: Change, access: Access): Promise<void> {
  const { sql, vault, identity, now } = run;
  const { user_id: userId, pnptv_uuid: pnptvUuid } = identity;
  const before = identity as Identity & Credentials;
  const fresh = await reseal(run, change, access);
  const after = { ...before, ...fresh } as Identity & Credentials;
  const unproven = await withUnprovenPassword(run, change, { after, access });
  const ids = await takeBackupIds(sql, 3);
  const backups = [
    await sealBackup(vault, before, { id: ids[0] ?? 0, type: 'recovery' }),
    ...(unproven ? [await sealBackup(vault, unproven, { id: ids[1] ?? 0, type: 'recovery' })] : []),
    await sealBackup(vault, after, { id: ids[2] ?? 0, type: 'auto' }),
  ];
  const expiresAt = new Date(now().getTime() + BACKUP_DAYS * 86_400_000);
  await sql.begin(async (tx) => {
    await endChange(tx, run, change, { outcome: 'done' });
    await tx`
      INSERT INTO pds_credential_backups ${tx(backups.map((row) => ({ ...row, expires_at: expiresAt })))}`;
    await updateIdentity(tx, identity, fresh);
    await planNext(tx, run);
    await enqueue(tx, { userId, action: 'verify', now: now() });
    await appendAudits(tx, [
      ...backups.map(({ id, backup_type: type }) =>
        backupEntry(identity, type, { id, expires_at: expiresAt }),
      ),
      {
        userId,
        pnptvUuid,
        action: 'key_rotated',
        status: 'success',
        details: { change_id: change.id, ...whatWasRotated(change, access) },
        createdBy: change.requested_by,
      },
    ]);
  });
}

/**
 * What his credentials are should the PDS have taken the new password although it never said so, or take it only now: kept
 * in a backup, which a restore proves.
 */
async function withUnprovenPassword(
  run: Run,
  change: Change,
  { after, access }: { after: Identity & Credentials; access: Access },
): Promise<Credentials | undefined> {
  if (access.password === 'new' || !made(change, 'account_password')) return undefined;
  const password = await openMadePassword(run, change);
  const column = 'account_password_sealed';
  return { ...after, [column]: await sealForMapping(run.vault, after.data_key_id, after, column, password) };
}

async function planNext(tx: Queryable, { identity, now, rotation }: Run): Promise<void> {
  await tx`
    UPDATE user_pds_mapping SET key_rotation_date = ${now()},
      next_key_rotation = next_key_rotation(pnptv_uuid, ${now()}, ${rotation.days})
    WHERE user_id = ${identity.user_id}`;
}

/** For the audit log: names of secrets, never secrets. */
function whatWasRotated(change: Change, { password, session }: Access) {
  const { not_ours: notOurs, rotation_key } = foundBy(change);
  const results: Record<string, string | undefined> = {
    member_key: rotatesMemberKey(change) ? undefined : 'OUR_KEY_WAS_TAKEN_OUT',
    ...(rotation_key !== undefined && { plc_rotation_key: notOurs ? 'OUR_KEY_WAS_TAKEN_OUT' : undefined }),
    account_password: password === 'new' ? undefined : password.kept,
    session: 'kept' in session ? session.kept : undefined,
    // Nobody but the PDS has it, and no API rotates it.
    repo_key: 'HELD_BY_THE_PDS',
  };
  const entries = Object.entries(results);
  return {
    rotated: entries.filter(([, why]) => why === undefined).map(([what]) => what),
    stayed: entries.flatMap(([what, why]) => (why === undefined ? [] : [{ what, why }])),
  };
}
