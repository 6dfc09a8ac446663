import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';
import { readMessage } from './queue/queue.ts';
import type { QueueDeps, WorkerDeps } from './run.ts';
import { performWork } from './work.ts';

/**
 * Performs the work of a batch of SQS messages, side by side, and reports those that must come back: their work was
 * cut short by something that nobody foresaw. A message that none of ours could have sent is such poison, too; it ends
 * among the dead letters, where people see it.
 */
export async function performMessages(
  deps: WorkerDeps & QueueDeps,
  records: readonly Pick<SQSRecord, 'messageId' | 'body'>[],
): Promise<SQSBatchResponse> {
  const failures = await Promise.all(
    records.map(async ({ messageId, body }) => {
      try {
        const queueId = readMessage(body);
        if (queueId === undefined) throw new Error('the message names no row of the queue');
        await performWork(deps, queueId);
        return [];
      } catch (error) {
        deps.log.error('message not processed', { message_id: messageId, error });
        deps.metrics.count('ProvisioningCrashed');
        return [{ itemIdentifier: messageId }];
      }
    }),
  );
  deps.metrics.flush();
  return { batchItemFailures: failures.flat() };
}
