import { AppError } from '../app-error.ts';
import { appendAudit } from '../audit/append.ts';
import type { Transaction } from '../db/connect.ts';
import type { QueueId } from './queue.ts';

/**
 * Gives failed work another life, in the caller's transaction, and closes its dead letters: an operator has removed
 * the cause. It resets the row and moves no message; afterwards, send it (`sendQueued`).
 * Throws WORK_NOT_FAILED (409) for work that is open, done, or followed by newer work of the same kind.
 */
export async function redrive(
  tx: Transaction,
  { queueId, by, now = new Date() }: { queueId: QueueId; by: string; now?: Date },
): Promise<void> {
  const [row] = await tx<{ user_id: string; pnptv_uuid: string; action: string }[]>`
    UPDATE pds_provisioning_queue q
    SET status = 'pending', attempt_count = 0, claims = 0, next_retry = ${now}, sent_at = NULL, error_details = NULL
    WHERE id = ${queueId} AND status = 'failed' AND NOT EXISTS (
      SELECT FROM pds_provisioning_queue newer
      WHERE newer.user_id = q.user_id AND newer.action = q.action AND newer.status IN ('pending', 'processing'))
    RETURNING user_id, pnptv_uuid, action`;
  if (!row) {
    throw new AppError('WORK_NOT_FAILED', 'Only failed work that nothing newer replaces can be redriven.', {
      status: 409,
    });
  }
  await tx`
    UPDATE user_pds_mapping SET status = 'pending', error_code = NULL, error_message = NULL
    WHERE user_id = ${row.user_id} AND status = 'error'`;
  await tx`
    UPDATE dead_letters SET redriven_at = ${now}, redriven_by = ${by}
    WHERE queue_id = ${queueId} AND redriven_at IS NULL`;
  await appendAudit(tx, {
    userId: row.user_id,
    pnptvUuid: row.pnptv_uuid,
    action: 'retry',
    status: 'pending',
    details: { queue_id: queueId, action: row.action },
    createdBy: by,
  });
}
