import { randomUUID } from 'node:crypto';
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Sql, Transaction } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { messageBody, type QueueId, secondsUntil } from './queue.ts';

/** What one run sends at most; the oldest first, so nobody waits for ever behind a crowd. */
export const MOST_A_RUN = 500;
const BATCH = 10;
const BATCH_TIMEOUT_MS = 5_000;

export type SendRowsDeps = {
  sql: Sql;
  sqs: SQSClient;
  queueUrl: string;
  now: () => Date;
  log: Log;
  metrics: Pick<Metrics, 'count'>;
};
export type Sent = { sent: number; failed: number };
/** Locks the next rows that are to be sent, and says when SQS shall deliver each. */
export type RowsToSend = (
  tx: Transaction,
  args: { at: Date; most: number },
) => Promise<{ id: QueueId; turn: Date }[]>;

/**
 * Sends these rows to the workers, and notes when they will have them. Stops at the first batch that SQS does not take
 * at all, since the next ones would only wait as well.
 */
export async function sendRows(deps: SendRowsDeps, next: RowsToSend): Promise<Sent> {
  let sent = 0;
  let failed = 0;
  while (sent + failed < MOST_A_RUN) {
    const batch = await sendBatch(deps, next);
    sent += batch.sent;
    failed += batch.failed;
    if (batch.sent + batch.failed < BATCH || batch.sent === 0) break;
  }
  if (sent > 0) deps.metrics.count('RelaySent', sent);
  if (failed > 0) {
    deps.metrics.count('RelayFailed', failed);
    deps.log.warn('SQS did not take every message; the next run sends them', { sent, failed });
  }
  return { sent, failed };
}

/** The rows stay locked while SQS is asked, at most five seconds: no other relay sends them, no worker needs them yet. */
async function sendBatch({ sql, sqs, queueUrl, now }: SendRowsDeps, next: RowsToSend): Promise<Sent> {
  return sql.begin(async (tx) => {
    const at = now();
    const rows = await next(tx, { at, most: BATCH });
    if (rows.length === 0) return { sent: 0, failed: 0 };
    const sent = await send({ sqs, queueUrl, at }, rows);
    if (sent.length > 0) {
      await tx`
        UPDATE pds_provisioning_queue q
        SET sent_at = sent.turn::timestamptz, next_retry = least(next_retry, sent.turn::timestamptz)
        FROM (VALUES ${tx(sent.map(({ id, turn }) => [id, turn.toISOString()]))}) AS sent (id, turn)
        WHERE q.id = sent.id::bigint`;
    }
    return { sent: sent.length, failed: rows.length - sent.length };
  });
}

/** The rows whose message SQS took. */
async function send<Row extends { id: QueueId; turn: Date }>(
  { sqs, queueUrl, at }: Pick<SendRowsDeps, 'sqs' | 'queueUrl'> & { at: Date },
  rows: readonly Row[],
): Promise<Row[]> {
  const entries = rows.map((row) => ({ Id: randomUUID(), row }));
  try {
    const { Successful = [] } = await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: entries.map(({ Id, row }) => ({
          Id,
          MessageBody: messageBody(row.id),
          DelaySeconds: secondsUntil(row.turn, at),
        })),
      }),
      { abortSignal: AbortSignal.timeout(BATCH_TIMEOUT_MS) },
    );
    const taken = new Set(Successful.map(({ Id }) => Id));
    return entries.filter(({ Id }) => taken.has(Id)).map(({ row }) => row);
  } catch {
    return [];
  }
}
