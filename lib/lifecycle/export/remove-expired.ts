import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Sql } from '../../db/connect.ts';
import { archiveKey, tailKey } from './archive-keys.ts';
import type { Storage } from './storage.ts';

/**
 * Ends one export whose time is over, finished or not, and has the bot tell its member; what lies in the bucket is for
 * {@link removeRemains}. One that a worker has in hand is left to the next run. Returns how many: 1, or 0 when none is left.
 */
export async function removeExpiredExport(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    const [removed] = await tx<{ user_id: string; outcome: 'ready' | 'failed' | null }[]>`
      DELETE FROM pds_exports WHERE id = (
        SELECT e.id FROM pds_exports e
        WHERE e.expires_at <= now() AND NOT EXISTS (
          SELECT FROM pds_provisioning_queue q WHERE q.user_id = e.user_id AND q.action = 'export'
            AND q.status = 'processing' AND q.next_retry > now())
        ORDER BY e.expires_at LIMIT 1 FOR UPDATE OF e SKIP LOCKED)
      RETURNING user_id, outcome`;
    if (removed === undefined) return 0;
    const { user_id: userId, outcome } = removed;
    // That it failed he was told then.
    if (outcome === 'ready') await sayTo(tx, userId, { kind: 'export', details: { event: 'expired' } });
    if (outcome === null)
      await sayTo(tx, userId, { kind: 'export', details: { event: 'failed', error: NEVER_DONE } });
    return 1;
  });
}

const NEVER_DONE = {
  code: 'EXPORT_NEVER_DONE',
  message:
    'It did not come to its end in seven days: mostly your PDS was down. Ask for it again when it answers.',
};

type Remains = { storage_id: string; upload_id: string | null; tail: string | null };

/**
 * Takes away what lies in the bucket of one export that is over, of an erased member's too: its note goes last, so a run
 * that breaks off is repeated. Returns how many: 1, or 0 when none is left.
 */
export async function removeRemains(sql: Sql, storage: Storage): Promise<number> {
  return sql.begin(async (tx) => {
    const [remains] = await tx<Remains[]>`
      SELECT storage_id, upload_id, tail FROM pds_export_remains ORDER BY since LIMIT 1 FOR UPDATE SKIP LOCKED`;
    if (remains === undefined) return 0;
    const { storage_id, upload_id, tail } = remains;
    const key = archiveKey(remains);
    if (upload_id !== null) await storage.abort({ key, uploadId: upload_id });
    if (tail !== null) await storage.remove(tailKey(remains, tail));
    await storage.remove(key);
    await tx`DELETE FROM pds_export_remains WHERE storage_id = ${storage_id}`;
    return 1;
  });
}
