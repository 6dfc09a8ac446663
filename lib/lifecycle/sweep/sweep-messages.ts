import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';
import type { Metrics } from '../../observability/metrics.ts';
import type { SweepDeps } from './group.ts';
import { readCohort } from './messages.ts';
import { sweepCohort } from './sweep-cohort.ts';

/** Does the work of SQS messages, and reports those that must come back: what cut them short nobody foresaw. */
export async function sweepMessages(
  deps: SweepDeps & { metrics: Metrics },
  records: readonly Pick<SQSRecord, 'messageId' | 'body'>[],
): Promise<SQSBatchResponse> {
  const failures: { itemIdentifier: string }[] = [];
  for (const { messageId, body } of records) {
    try {
      const cohort = readCohort(body);
      if (cohort === undefined) throw new Error('the message names no cohort');
      const result = await sweepCohort(deps, cohort);
      deps.log.info('cohort swept', { ...cohort, result });
    } catch (error) {
      deps.log.error('cohort not swept', { message_id: messageId, error });
      deps.metrics.count('HealthSweepCrashed');
      failures.push({ itemIdentifier: messageId });
    }
  }
  deps.metrics.flush();
  return { batchItemFailures: failures };
}
