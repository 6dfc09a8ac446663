import { CreateQueueCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import * as z from 'zod';
import { startPoller } from '../events/queue-poller.ts';
import { arn, boolean, functionByArn, kind, number, physicalName } from './cloud.ts';

/** AWS::SQS::Queue, with its redrive policy. */
const queue = kind(
  {
    QueueName: z.string().optional(),
    VisibilityTimeout: number.optional(),
    DelaySeconds: number.optional(),
    MaximumMessageSize: number.optional(),
    MessageRetentionPeriod: number.optional(),
    ReceiveMessageWaitTimeSeconds: number.optional(),
    FifoQueue: boolean.optional(),
    ContentBasedDeduplication: boolean.optional(),
    RedrivePolicy: z.strictObject({ deadLetterTargetArn: z.string(), maxReceiveCount: number }).optional(),
  },
  ['SqsManagedSseEnabled', 'KmsDataKeyReusePeriodSeconds', 'RedriveAllowPolicy'],
  async (cloud, resource, { QueueName, RedrivePolicy, ...settings }) => {
    const name = QueueName ?? `${physicalName(resource)}${settings.FifoQueue ? '.fifo' : ''}`;
    const attributes = Object.fromEntries(
      Object.entries({
        ...settings,
        RedrivePolicy: RedrivePolicy && JSON.stringify(RedrivePolicy),
      })
        .filter(([, value]) => value !== undefined && value !== false)
        .map(([key, value]) => [key, String(value)]),
    );
    const created = await cloud.sqs.send(new CreateQueueCommand({ QueueName: name }));
    // Not the URL that the server made up for us: the one by which every process here reaches it.
    const url = `${cloud.sqsUrl}/${cloud.account}/${name}`;
    if (Object.keys(attributes).length > 0) {
      await cloud.sqs.send(
        new SetQueueAttributesCommand({ QueueUrl: created.QueueUrl, Attributes: attributes }),
      );
    }
    cloud.queues.set(resource.name, url);
    const queueArn = arn(cloud, 'sqs', name);
    return { ref: url, attributes: { Arn: queueArn, QueueName: name, QueueUrl: url } };
  },
);

/** AWS::Lambda::EventSourceMapping from SQS. */
const eventSourceMapping = kind(
  {
    EventSourceArn: z.string().regex(/^arn:aws:sqs:/, 'only SQS queues are event sources locally'),
    FunctionName: z.string(),
    BatchSize: number.default(10),
    MaximumBatchingWindowInSeconds: number.default(0),
    Enabled: boolean.default(true),
    FunctionResponseTypes: z.array(z.literal('ReportBatchItemFailures')).default([]),
    ScalingConfig: z.strictObject({ MaximumConcurrency: number }).optional(),
  },
  [],
  async (cloud, resource, properties) => {
    const fn = functionByArn(cloud, properties.FunctionName);
    const queueUrl = queueUrlOf(cloud, properties.EventSourceArn);
    if (properties.Enabled) {
      cloud.starters.push(() =>
        startPoller(
          { sqs: cloud.sqs, fn, onNotice: cloud.onNotice },
          {
            queueUrl,
            queueArn: properties.EventSourceArn,
            region: cloud.region,
            batchSize: properties.BatchSize,
            batchingWindowMs: properties.MaximumBatchingWindowInSeconds * 1000,
            reportsItemFailures: properties.FunctionResponseTypes.length > 0,
            maximumConcurrency: properties.ScalingConfig?.MaximumConcurrency,
          },
        ),
      );
    }
    return { ref: physicalName(resource), attributes: { Id: physicalName(resource) } };
  },
);

/** The URL of a queue in this cloud, from its ARN. */
export function queueUrlOf(cloud: { queues: Map<string, string> }, queueArn: string): string {
  const name = queueArn.split(':').at(-1);
  const url = [...cloud.queues.values()].find((candidate) => candidate.endsWith(`/${name}`));
  if (!url) throw new Error(`${queueArn} is no queue that exists locally`);
  return url;
}

export const queueKinds = {
  'AWS::SQS::Queue': queue,
  'AWS::Lambda::EventSourceMapping': eventSourceMapping,
};
