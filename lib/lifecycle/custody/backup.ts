import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { type SecretPlace, sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Credentials, openBundle, openBundleOrKeep } from './bundle.ts';

export type Backup = { id: number; created_at: Date; expires_at: Date };
/**
 * `manual`: the member asked for it; `auto`: of credentials that were just proven; `recovery`: of what is about to be
 * replaced or destroyed.
 */
export type BackupType = 'manual' | 'auto' | 'recovery';

/**
 * Where the content of a backup is sealed for. Its version is the backup's own id: no backup can be put in the place
 * of another, not even of the same member.
 */
export function backupPlace(userId: string, backupId: number): SecretPlace {
  return { table: 'pds_credential_backups', column: 'backup_data_encrypted', userId, version: backupId };
}

/**
 * Backs up a member's credentials as they are in the caller's transaction, and says so in the audit log. The backup
 * is sealed under the member's data key and kept for 30 days. Throws `IDENTITY_NOT_READY` (409) unless he is active.
 *
 * Before anything that replaces or destroys credentials, write a `recovery` backup in the same transaction: damaged
 * ones are no reason to refuse it, they are kept as they are. And after it an `auto` one of the new credentials: the
 * newest backup is the one that never expires (migrations/012_restore.sql), so it must not be one of the old ones.
 *
 * If the member's data key is not open, the vault reads it over a connection of its own: `tx` must come from a pool of
 * at least two, or both would wait for ever.
 */
export async function backUpCredentials(
  { tx, vault }: { tx: Transaction; vault: Vault },
  userId: string,
  type: BackupType,
): Promise<Backup> {
  const credentials = await readCredentials(tx, userId);
  const [id = 0] = await takeBackupIds(tx, 1);
  const [backup] = await tx<[Backup]>`
    INSERT INTO pds_credential_backups ${tx(await sealBackup(vault, credentials, { id, type }))}
    RETURNING id, created_at, expires_at`;
  await appendAudit(tx, backupEntry(credentials, type, backup));
  return backup;
}

/** So many ids for backups, which are part of what is sealed, in their order. */
export async function takeBackupIds(sql: Queryable, count: number): Promise<number[]> {
  const ids = await sql<{ id: number }[]>`
    SELECT nextval('pds_credential_backups_id_seq') AS id FROM generate_series(1, ${count}::int)`;
  return ids.map(({ id }) => id).sort((a, b) => a - b);
}

/** The row of a backup of these credentials. Throws what `openSecret` throws; damaged ones are kept by a `recovery` backup. */
export async function sealBackup(
  vault: Vault,
  credentials: Credentials,
  { id, type }: { id: number; type: BackupType },
) {
  const { user_id, pnptv_uuid, data_key_id, credential_version } = credentials;
  const bundle = await (type === 'recovery' ? openBundleOrKeep : openBundle)(vault, credentials);
  const sealed = await sealSecret(vault, data_key_id, backupPlace(user_id, id), JSON.stringify(bundle));
  return {
    id,
    user_id,
    pnptv_uuid,
    backup_type: type,
    backup_data_encrypted: sealed.body,
    backup_iv: sealed.iv,
    backup_auth_tag: sealed.tag,
    data_key_id,
    credential_version,
  };
}

/** What the audit log says of a backup that was made. */
export function backupEntry(
  { user_id: userId, pnptv_uuid: pnptvUuid }: Pick<Credentials, 'user_id' | 'pnptv_uuid'>,
  type: BackupType,
  { id, expires_at }: Pick<Backup, 'id' | 'expires_at'>,
): AuditEntry {
  return {
    userId,
    pnptvUuid,
    action: 'backup_created',
    status: 'success',
    details: { backup_id: id, backup_type: type, expires_at },
    createdBy: type === 'manual' ? userId : 'system',
  };
}

/** Locked until the end of the transaction: while they are replaced this waits, and nobody replaces them meanwhile. */
async function readCredentials(tx: Transaction, userId: string): Promise<Credentials> {
  const [credentials] = await tx<Credentials[]>`
    SELECT user_id, pnptv_uuid, pds_did, pds_handle, pds_endpoint, pds_public_key, pds_private_key_encrypted,
      pds_private_key_iv, pds_private_key_auth_tag, pds_refresh_token, account_email, account_password_sealed,
      rotation_key_sealed, rotation_public_key, provider_id, data_key_id, credential_version
    FROM user_pds_mapping WHERE user_id = ${userId} AND status = 'active' FOR SHARE`;
  if (credentials === undefined) throw apiError('IDENTITY_NOT_READY');
  return credentials;
}
