import { SQSClient } from '@aws-sdk/client-sqs';
import type { Sql } from '../db/connect.ts';
import type { Log } from '../observability/log.ts';
import { type QueueId, type SendDeps, sendQueued } from '../provisioning/queue/queue.ts';

/** Nobody who logs in waits longer for SQS than this; the relay makes up for it. */
const SEND_LIMIT_MS = 900;

/** The provisioning queue as a route sends to it: one attempt, and soon given up. */
export function openQueue(sql: Sql, queueUrl: string): SendDeps {
  const requestHandler = {
    connectionTimeout: SEND_LIMIT_MS,
    requestTimeout: SEND_LIMIT_MS,
    throwOnRequestTimeout: true,
  };
  return { sql, queueUrl, sqs: new SQSClient({ maxAttempts: 1, requestHandler }) };
}

/**
 * Tells the worker about work that is committed, if there is any and identities are being made. Never throws: what
 * SQS does not take now, the relay sends within a minute.
 */
export async function wakeWorker(
  { provisioningEnabled, log, ...queue }: SendDeps & { provisioningEnabled: boolean; log: Log },
  queued: QueueId | undefined,
): Promise<void> {
  if (queued === undefined || !provisioningEnabled) return;
  const sent = await sendQueued(queue, queued);
  if (sent) log.info('work sent', { queue_id: queued });
  else log.warn('SQS did not take a message: the relay will send it', { queue_id: queued });
}
