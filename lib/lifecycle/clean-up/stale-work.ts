import type { Sql } from '../../db/connect.ts';
import { type FailedRow, failRow } from '../../provisioning/queue/fail.ts';
import { BATCH } from './delete-batch.ts';

const REASON = {
  code: 'NOT_DONE_IN_TIME',
  message: 'This work waited for 7 days and nobody did it. Operators look into it; then retry.',
};

/**
 * Notes which open work is six days old, waits for no PDS, and is in nobody's hands. A day later it is failed, if it is
 * still so: the day is for whoever comes back after a long time, a PDS or `PDS_PROVISIONING_ENABLED`, to get it done.
 * Returns how many rows are new to this.
 */
export async function markStaleWork(sql: Sql): Promise<number> {
  await sql`
    UPDATE pds_provisioning_queue SET stale_since = NULL WHERE stale_since IS NOT NULL AND parked_reason IS NOT NULL`;
  const marked = await sql`
    UPDATE pds_provisioning_queue SET stale_since = now() WHERE id = ANY (ARRAY(
      SELECT id FROM pds_provisioning_queue
      WHERE status IN ('pending', 'processing') AND parked_reason IS NULL AND stale_since IS NULL
        AND created_at < now() - interval '6 days' AND NOT (status = 'processing' AND next_retry > now())
      LIMIT ${BATCH} FOR UPDATE SKIP LOCKED))`;
  return marked.count;
}

/** While no identities are made, nothing is late. */
export async function forgetStaleWork(sql: Sql): Promise<void> {
  await sql`UPDATE pds_provisioning_queue SET stale_since = NULL WHERE stale_since IS NOT NULL`;
}

/**
 * Fails one work that {@link markStaleWork} noted a day ago, with a reason, as any other that fails for good: its member
 * and the operators are told, and it stands in the list of what was given up. Returns how many: 1, or 0 when none is left.
 */
export async function failStaleWork(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    const [row] = await tx<FailedRow[]>`
      UPDATE pds_provisioning_queue SET stale_since = NULL WHERE id = (
        SELECT id FROM pds_provisioning_queue
        WHERE stale_since < now() - interval '1 day' AND created_at < now() - interval '7 days'
          AND status IN ('pending', 'processing') AND parked_reason IS NULL
          AND NOT (status = 'processing' AND next_retry > now())
        ORDER BY stale_since, id LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id::text, user_id, pnptv_uuid, action`;
    if (row === undefined) return 0;
    await failRow(tx, row, REASON);
    return 1;
  });
}
