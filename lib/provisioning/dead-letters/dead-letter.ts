import type { Sql, Transaction } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { notifyOperators } from '../../operators/notify.ts';
import { type FailedRow, failRow } from '../queue/fail.ts';
import { type QueueId, readMessage } from '../queue/queue.ts';

/** What SQS knows of a message that no worker could process. */
export type DeadMessage = {
  messageId: string;
  body: string;
  receiveCount: number;
  /** The name of the queue in which it died. */
  sourceQueue: string;
};

const REASON = {
  code: 'WORKER_CRASHED',
  message: 'The work was cut short every time it was begun. Operators look into it; then retry.',
};

/**
 * Writes a dead message down, once, however often it is delivered, and marks its work as failed: unless that is over
 * meanwhile, or a worker is at it after all. Every new one counts in a metric that alarms the operators.
 */
export async function buryMessage(
  { sql, now, log, metrics }: { sql: Sql; now: () => Date; log: Log; metrics: Pick<Metrics, 'count'> },
  message: DeadMessage,
): Promise<void> {
  const { messageId, body, receiveCount, sourceQueue } = message;
  const buried = await sql.begin(async (tx) => {
    const row = await lockRow(tx, readMessage(body));
    const [letter] = await tx`
      INSERT INTO dead_letters (queue_id, user_id, source_queue, message_id, message_body, receive_count, reason)
      VALUES (${row?.id ?? null}, ${row?.user_id ?? null}, ${sourceQueue}, ${messageId}, ${body}, ${receiveCount},
        ${row ? REASON.code : 'NO_SUCH_WORK'})
      ON CONFLICT (message_id) DO NOTHING RETURNING id`;
    if (!letter) return false;
    if (!row) await notifyOperators(tx, { kind: 'dead_letter', subject: `message ${messageId}` });
    const beingDone = row?.status === 'processing' && row.next_retry > now();
    const open = row?.status === 'pending' || row?.status === 'processing';
    if (row && open && !beingDone) {
      await failRow(tx, row, REASON, { details: { dead_letter: letter.id, receives: receiveCount } });
    }
    return true;
  });
  if (!buried) return;
  metrics.count('ProvisioningDead');
  log.error('dead letter', { message_id: messageId, queue_id: readMessage(body), receives: receiveCount });
}

async function lockRow(
  tx: Transaction,
  queueId: QueueId | undefined,
): Promise<(FailedRow & { status: string; next_retry: Date }) | undefined> {
  if (queueId === undefined) return undefined;
  const [row] = await tx<(FailedRow & { status: string; next_retry: Date })[]>`
    SELECT id::text, user_id, pnptv_uuid, action, status, next_retry
    FROM pds_provisioning_queue WHERE id = ${queueId} FOR UPDATE`;
  return row;
}
