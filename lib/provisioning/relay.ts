import { randomUUID } from 'node:crypto';
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Sql } from '../db/connect.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { markSent, messageBody, type QueueId } from './queue.ts';

const BATCH = 10;
/** What one run sends at most; the oldest first, so nobody waits for ever behind a crowd. */
export const MOST_A_RUN = 500;
/** A row that was sent since is left to its message: SQS needs its time, and so does a worker that is busy. */
const RESEND_AFTER_MS = 50_000;
const BATCH_TIMEOUT_MS = 5_000;

export type RelayDeps = {
  sql: Sql;
  sqs: SQSClient;
  queueUrl: string;
  now: () => Date;
  log: Log;
  metrics: Pick<Metrics, 'count'>;
};

/**
 * Sends every row that is due and was not sent lately: what a login could not send, what waits for another attempt or
 * for a PDS, and what a dead worker left behind when its lease was over. Several relays at once share the work.
 * Stops at the first batch that SQS does not take at all, since the next ones would only wait as well.
 */
export async function relay(deps: RelayDeps): Promise<{ sent: number; failed: number }> {
  let sent = 0;
  let failed = 0;
  while (sent + failed < MOST_A_RUN) {
    const batch = await sendBatch(deps);
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
async function sendBatch({ sql, sqs, queueUrl, now }: RelayDeps): Promise<{ sent: number; failed: number }> {
  return sql.begin(async (tx) => {
    const at = now();
    const rows = await tx<{ id: QueueId }[]>`
      SELECT id::text FROM pds_provisioning_queue
      WHERE status IN ('pending', 'processing') AND next_retry <= ${at}
        AND (sent_at IS NULL OR sent_at <= ${new Date(at.getTime() - RESEND_AFTER_MS)})
      ORDER BY next_retry, id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
    if (rows.length === 0) return { sent: 0, failed: 0 };
    const sent = await send(
      { sqs, queueUrl },
      rows.map(({ id }) => id),
    );
    if (sent.length > 0) await markSent(tx, sent, at);
    return { sent: sent.length, failed: rows.length - sent.length };
  });
}

/** The rows whose message SQS took. */
async function send(
  { sqs, queueUrl }: Pick<RelayDeps, 'sqs' | 'queueUrl'>,
  queueIds: readonly QueueId[],
): Promise<QueueId[]> {
  const entries = queueIds.map((queueId) => ({
    Id: randomUUID(),
    MessageBody: messageBody(queueId),
    queueId,
  }));
  try {
    const { Successful = [] } = await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: entries.map(({ Id, MessageBody }) => ({ Id, MessageBody })),
      }),
      { abortSignal: AbortSignal.timeout(BATCH_TIMEOUT_MS) },
    );
    const taken = new Set(Successful.map(({ Id }) => Id));
    return entries.filter(({ Id }) => taken.has(Id)).map(({ queueId }) => queueId);
  } catch {
    return [];
  }
}
