import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { sayTo, tellMember } from '../../auth/bot/tell-member.ts';
import type { Transaction } from '../../db/connect.ts';
import type { NoticeKind } from '../../operators/notices.ts';
import { notifyOperators } from '../../operators/notify.ts';
import type { ErrorDetails } from '../identity.ts';
import type { QueueAction, QueueId } from './queue.ts';

export type FailedRow = { id: QueueId; user_id: string; pnptv_uuid: string; action: QueueAction };

/**
 * Ends work for good: the row says why, so does the member's identity if it was being made, and the audit log; operators
 * and the member are told.
 * Touches no secret: a retry goes on from here. The caller makes sure that no worker is at it.
 */
export async function failRow(
  tx: Transaction,
  row: FailedRow,
  reason: ErrorDetails,
  audit: Pick<AuditEntry, 'details' | 'createdBy'> = {},
): Promise<void> {
  await tx`
    UPDATE pds_provisioning_queue SET status = 'failed', parked_reason = NULL, error_details = ${tx.json(reason)}
    WHERE id = ${row.id}`;
  if (row.action === 'create' || row.action === 'retry') {
    const ended = await tx`
      UPDATE user_pds_mapping SET status = 'error', error_code = ${reason.code}, error_message = ${reason.message}
      WHERE user_id = ${row.user_id} AND status = 'pending'`;
    if (ended.count > 0) await tellMember(tx, row.user_id, 'failed');
  }
  if (row.action === 'export')
    await sayTo(tx, row.user_id, { kind: 'export', details: { event: 'failed', error: plain(reason) } });
  await appendAudit(tx, {
    ...audit,
    userId: row.user_id,
    pnptvUuid: row.pnptv_uuid,
    action: 'error',
    status: 'failed',
    details: { queue_id: row.id, action: row.action, ...audit.details },
    errorCode: reason.code,
    errorMessage: reason.message,
  });
  await notifyOperators(tx, { kind: noticeOf(row, reason), subject: row.pnptv_uuid });
}

/** What else is known is for operators. */
function plain({ code, message }: ErrorDetails): Pick<ErrorDetails, 'code' | 'message'> {
  return { code, message };
}

function noticeOf({ action }: FailedRow, { code }: ErrorDetails): NoticeKind {
  if (code === 'WORKER_CRASHED' || code === 'CLAIMED_TOO_OFTEN') return 'dead_letter';
  return action === 'create' || action === 'retry' ? 'identity_failed' : 'work_failed';
}
