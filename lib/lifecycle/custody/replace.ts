import { appendAudit } from '../../audit/append.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { enqueue, type QueueId } from '../../provisioning/queue/queue.ts';
import { mappingPlace, type SealedColumn, sealForMapping } from '../../provisioning/secrets.ts';
import { sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import { expectNoChange } from '../changes/request.ts';
import { backUpCredentials } from './backup.ts';
import { findRestorable, type SealedBackup } from './backups.ts';
import type { Holder, Proven } from './prove.ts';

export type Member = Holder & { pnptv_uuid: string; data_key_id: string };
export type Restored = {
  restoredAt: Date;
  /** What was there before, to go back to. */
  recoveryBackupId: number;
  /** The check of what is there now: for the worker, if it is new. */
  queued: QueueId | undefined;
};

/** A worker has the member. */
export class Busy extends Error {}

type SealedCredentials = { [column: string]: string };

/**
 * What works, sealed for the version of the member's row that comes next. Before the transaction: should the data key
 * have to be opened, nobody's locks wait for KMS.
 */
export async function sealForNextVersion(
  vault: Vault,
  {
    user_id,
    data_key_id,
    credential_version,
  }: Pick<Member, 'user_id' | 'data_key_id' | 'credential_version'>,
  { publicKey, privateKey, rotationKey, password, session }: Proven,
): Promise<SealedCredentials> {
  const owner = { user_id, credential_version: credential_version + 1 };
  const seal = (column: SealedColumn, secret: string | Uint8Array) =>
    sealForMapping(vault, data_key_id, owner, column, secret);
  const key = await sealSecret(
    vault,
    data_key_id,
    mappingPlace(owner, 'pds_private_key_encrypted'),
    privateKey,
  );
  privateKey.fill(0);
  const rotationKeySealed = rotationKey && (await seal('rotation_key_sealed', rotationKey));
  rotationKey?.fill(0);
  return {
    pds_public_key: publicKey,
    pds_private_key_encrypted: key.body,
    pds_private_key_iv: key.iv,
    pds_private_key_auth_tag: key.tag,
    account_password_sealed: await seal('account_password_sealed', password),
    pds_access_token: await seal('pds_access_token', session.accessJwt),
    pds_refresh_token: await seal('pds_refresh_token', session.refreshJwt),
    ...(rotationKeySealed && { rotation_key_sealed: rotationKeySealed }),
  };
}

/**
 * Replaces a member's credentials by those of a backup, and all that belongs to it, in the caller's transaction. Throws
 * `RESTORE_IN_PROGRESS` when another restore was faster, `CHANGE_IN_PROGRESS`, `Busy` while a worker has the member; what else may have changed
 * since the proof is looked at again.
 *
 * `restore_credentials` (migrations/023_key_rotation.sql) takes care that nothing is lost, whoever calls it. That the member
 * wants it and that the PDS accepts it, only the code here knows: a stranger in the API's place could put in what does not
 * work, and in the backups, which he cannot change, would be what did.
 */
export async function replaceCredentials(
  { tx, vault, now }: { tx: Transaction; vault: Vault; now: () => Date },
  {
    member,
    backup,
    sealed,
    stepUp,
  }: { member: Member; backup: SealedBackup; sealed: SealedCredentials; stepUp: StepUpNeed },
): Promise<Restored> {
  const { user_id: userId, pnptv_uuid: pnptvUuid, credential_version: version } = member;
  // The queue row before the mapping row, as everywhere.
  const { queueId, created } = await enqueue(tx, { userId, action: 'verify', now: now() });
  const held = await hold(tx, userId);
  await findRestorable(tx, userId, backup.id);
  if (held.credential_version !== version) throw apiError('RESTORE_IN_PROGRESS');
  if (held.leased) throw new Busy();
  await expectNoChange(tx, userId);
  await useStepUp(tx, stepUp);
  const recovery = await backUpCredentials({ tx, vault }, userId, 'recovery');
  const [{ restored_at: restoredAt }] = await tx<[{ restored_at: Date }]>`
    SELECT restore_credentials(${userId}, ${backup.id}, ${held.epoch}, ${version}, ${tx.json(sealed)}) AS restored_at`;
  await appendAudit(tx, {
    userId,
    pnptvUuid,
    action: 'backup_restored',
    status: 'success',
    details: { backup_id: backup.id, backup_type: backup.type, recovery_backup_id: recovery.id },
    createdBy: userId,
  });
  await backUpCredentials({ tx, vault }, userId, 'auto');
  return { restoredAt, recoveryBackupId: recovery.id, queued: created ? queueId : undefined };
}

/** Locks the member's row until the end of the transaction: no worker claims him meanwhile, nor another restore. */
async function hold(tx: Transaction, userId: string) {
  const [held] = await tx<{ epoch: number; credential_version: number; leased: boolean }[]>`
    SELECT epoch, credential_version, coalesce(lease_until > now(), false) AS leased
    FROM user_pds_mapping WHERE user_id = ${userId} AND status = 'active' FOR UPDATE`;
  if (held === undefined) throw apiError('IDENTITY_NOT_READY');
  return held;
}
