import type { Log } from '../observability/log.ts';
import { type QueueId, type SendDeps, sendQueued } from '../provisioning/queue.ts';

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
  if (!sent) log.warn('SQS did not take a message: the relay will send it', { queue_id: queued });
}
