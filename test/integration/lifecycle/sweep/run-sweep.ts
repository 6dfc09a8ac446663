import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { SweepDeps } from '../../../../lib/lifecycle/sweep/group.ts';
import { type PlanDeps, planSweep } from '../../../../lib/lifecycle/sweep/plan.ts';
import { sweepMessages } from '../../../../lib/lifecycle/sweep/sweep-messages.ts';
import type { Metrics } from '../../../../lib/observability/metrics.ts';

/** All that the planner and the workers of a sweep are given. */
export type WholeSweep = SweepDeps & Omit<PlanDeps, 'deadline'> & { metrics: Metrics };

/** SQS on this machine. */
export function sqsClient(endpoint: string): SQSClient {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return new SQSClient({ endpoint, region: 'eu-central-1', credentials, maxAttempts: 1 });
}

/** What the Lambda service does every hour: the planner, then a worker for each message. Returns the number of messages. */
export async function runSweep(deps: WholeSweep): Promise<number> {
  const planned = await planSweep({ ...deps, deadline: new Date(deps.now().getTime() + 600_000) });
  if (!planned) throw new Error('another planner is at it');
  return workOff(deps, { sqs: deps.sqs, queueUrl: deps.queueUrl });
}

/** Works off what waits in the queue of sweeps; every message must be through with it. */
export async function workOff(
  deps: SweepDeps & { metrics: Metrics },
  { sqs, queueUrl }: { sqs: SQSClient; queueUrl: string },
): Promise<number> {
  let worked = 0;
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 }),
    );
    if (Messages.length === 0) return worked;
    const records = Messages.map(({ MessageId = '', Body = '' }) => ({ messageId: MessageId, body: Body }));
    const { batchItemFailures } = await sweepMessages(deps, records);
    if (batchItemFailures.length > 0) throw new Error('a message was not worked off');
    worked += records.length;
  }
}
