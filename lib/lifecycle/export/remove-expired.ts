import type { Sql } from '../../db/connect.ts';
import { archiveKey, tailKey } from './archive-keys.ts';
import type { Storage } from './storage.ts';

type Expired = { id: number; storage_id: string; upload_id: string | null; tail: string | null };

/**
 * Removes one export whose time is over, finished or not: first what lies in the bucket, its row last, so that a run that
 * breaks off is repeated. One that a worker has in hand is left to the next run. Returns how many: 1, or 0 when none is left.
 */
export async function removeExpiredExport(sql: Sql, storage: Storage): Promise<number> {
  return sql.begin(async (tx) => {
    const [row] = await tx<Expired[]>`
      SELECT e.id, e.storage_id, e.upload_id, e.tail FROM pds_exports e
      WHERE e.expires_at <= now() AND NOT EXISTS (
        SELECT FROM pds_provisioning_queue q WHERE q.user_id = e.user_id AND q.action = 'export'
          AND q.status = 'processing' AND q.next_retry > now())
      ORDER BY e.expires_at LIMIT 1 FOR UPDATE OF e SKIP LOCKED`;
    if (row === undefined) return 0;
    const key = archiveKey(row);
    if (row.upload_id !== null) await storage.abort({ key, uploadId: row.upload_id });
    if (row.tail !== null) await storage.remove(tailKey(row, row.tail));
    await storage.remove(key);
    await tx`DELETE FROM pds_exports WHERE id = ${row.id}`;
    return 1;
  });
}
