import type * as z from 'zod/mini';
import type { Me } from '../../auth/session/session.ts';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import type { Sealed } from '../../vault/sealed.ts';
import type { listBackups } from '../api.ts';
import type { BackupType } from './backup.ts';

/** What a backup is good for. The function `backup_state` (migrations/012_restore.sql) decides it, for all who ask. */
type BackupState = 'restorable' | 'used' | 'expired';

export type ListedBackup = z.output<typeof listBackups.data>[number];
type Row = Counted & {
  backup_type: BackupType;
  created_at: Date;
  expires_at: Date;
  is_used: boolean;
  used_at: Date | null;
  state: BackupState;
};

/** A page of the backups of whoever is logged in, newest first, and how many there are in all. */
export async function readBackups(
  me: Me,
  page: { limit: number; offset: number },
): Promise<{ data: ListedBackup[]; pagination: Pagination }> {
  const rows = await me<Row>`
    SELECT counted.total, listed.* FROM (
      SELECT count(*) AS total FROM pds_credential_backups WHERE user_id = me.id
    ) counted LEFT JOIN LATERAL (
      SELECT id, backup_type, created_at, expires_at, is_used, used_at, backup_state(backup) AS state
      FROM pds_credential_backups AS backup WHERE user_id = me.id ORDER BY id DESC LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true
    ORDER BY listed.id DESC`;
  return pageOf(rows, page, ({ created_at, expires_at, used_at, state, ...backup }) => ({
    ...backup,
    created_at: created_at.toISOString(),
    expires_at: expires_at.toISOString(),
    used_at: used_at?.toISOString() ?? null,
    restorable: state === 'restorable',
    reason: state === 'restorable' ? null : state,
  }));
}

export type SealedBackup = { id: number; type: BackupType } & Sealed;

/**
 * A backup of this member, if it can be restored. Throws `BACKUP_NOT_FOUND` (404) for any that is not his, without
 * telling whether there is one; `BACKUP_USED` and `BACKUP_EXPIRED` (409).
 */
export async function findRestorable(
  sql: Queryable,
  userId: string,
  backupId: number,
): Promise<SealedBackup> {
  const [found] = await sql<(SealedBackup & { state: BackupState })[]>`
    SELECT id, backup_type AS type, backup_data_encrypted AS body, backup_iv AS iv, backup_auth_tag AS tag,
      backup_state(backup) AS state
    FROM pds_credential_backups AS backup WHERE id = ${backupId} AND user_id = ${userId}`;
  if (found === undefined) throw apiError('BACKUP_NOT_FOUND');
  const { state, ...backup } = found;
  if (state === 'used') throw apiError('BACKUP_USED');
  if (state === 'expired') throw apiError('BACKUP_EXPIRED');
  return backup;
}
