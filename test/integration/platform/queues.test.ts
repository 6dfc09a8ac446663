import {
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCloud } from '../../../infra/local/cloud.ts';
import { failedMessages } from '../../../infra/local/events/queue-poller.ts';
import { lambda, runStacks } from './assembly.ts';

/** Prints the batch as one line and then does what the bodies say. */
const WORKER = `
  export const handler = async ({ Records }) => {
    console.log(JSON.stringify({ now: Date.now(), bodies: Records.map((r) => r.body), counts: Records.map((r) => r.attributes.ApproximateReceiveCount), arn: Records[0].eventSourceARN }));
    const bodies = Records.map((r) => r.body);
    await new Promise((resolve) => setTimeout(resolve, bodies.some((b) => b.startsWith('slow')) ? 300 : 0));
    if (bodies.includes('throw')) throw new Error('poison');
    if (bodies.includes('stranger')) return { batchItemFailures: [{ itemIdentifier: 'nobody' }] };
    if (bodies.includes('nothing')) return undefined;
    return { batchItemFailures: Records.filter((r) => r.body.startsWith('fail')).map((r) => ({ itemIdentifier: r.messageId })) };
  };`;

const queue = (name: string, visibility: number, maxReceiveCount: number) => ({
  [`${name}dead`]: { Type: 'AWS::SQS::Queue', Properties: { MessageRetentionPeriod: 1_209_600 } },
  [name]: {
    Type: 'AWS::SQS::Queue',
    Properties: {
      VisibilityTimeout: visibility,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': [`${name}dead`, 'Arn'] }, maxReceiveCount },
    },
  },
});
const source = (name: string, fn: string, properties: object = {}) => ({
  Type: 'AWS::Lambda::EventSourceMapping',
  Properties: {
    EventSourceArn: { 'Fn::GetAtt': [name, 'Arn'] },
    FunctionName: { Ref: fn },
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    BatchSize: 10,
    ...properties,
  },
});

describe('queues and their consumers', () => {
  let cloud: RunningCloud;
  let sqs: SQSClient;
  const batches: { fn: string; bodies: string[]; counts: string[]; now: number }[] = [];
  const seen = (fn: string) => batches.filter((batch) => batch.fn === fn);
  const send = (id: string, MessageBody: string) =>
    sqs.send(new SendMessageCommand({ QueueUrl: cloud.queueUrl(id), MessageBody }));
  const waiting = async (id: string) => {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: cloud.queueUrl(id), AttributeNames: ['All'] }),
    );
    return [Attributes?.ApproximateNumberOfMessages, Attributes?.ApproximateNumberOfMessagesNotVisible].map(
      Number,
    );
  };

  beforeAll(async () => {
    cloud = await runStacks(
      {
        service: {
          Resources: {
            ...queue('partial', 1, 2),
            ...queue('limited', 30, 5),
            ...queue('poison', 1, 2),
            worker: lambda('worker', { Timeout: 5 }),
            limitedworker: lambda('worker', { Timeout: 5 }),
            poisonworker: lambda('worker', { Timeout: 5 }),
            undertaker: lambda('worker', { Timeout: 5 }),
            a: source('partial', 'worker'),
            b: source('limited', 'limitedworker', { BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 } }),
            c: source('poison', 'poisonworker', { BatchSize: 1 }),
            d: source('poisondead', 'undertaker'),
          },
        },
      },
      { worker: WORKER },
      { onLog: (fn, line) => line.startsWith('{') && batches.push({ fn, ...JSON.parse(line) }) },
    );
    const { AWS_ENDPOINT_URL_SQS: endpoint } = cloud.environment;
    sqs = new SQSClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
  });
  afterAll(async () => {
    sqs.destroy();
    await cloud.stop();
  });

  it('delete what succeeded, bring back just what failed, and bury it after maxReceiveCount', async () => {
    const bodies = ['good 1', 'fail 1', 'good 2'];
    await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: cloud.queueUrl('partial'),
        Entries: bodies.map((MessageBody, index) => ({ Id: String(index), MessageBody })),
      }),
    );
    await expect.poll(() => waiting('partialdead'), { timeout: 10_000 }).toEqual([1, 0]);
    const received = seen('worker').flatMap(({ bodies }) => bodies);
    expect(received.filter((body) => body.startsWith('good')).sort()).toEqual(['good 1', 'good 2']);
    expect(received.filter((body) => body === 'fail 1')).toHaveLength(2);
    expect(await waiting('partial')).toEqual([0, 0]);
    const { Messages } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: cloud.queueUrl('partialdead') }),
    );
    expect(Messages?.map(({ Body }) => Body)).toEqual(['fail 1']);
  });

  it('fail the whole batch for an identifier that is none of it', async () => {
    const before = seen('worker').length;
    await send('partial', 'stranger');
    await expect
      .poll(
        () =>
          seen('worker')
            .slice(before)
            .map(({ counts }) => counts),
        { timeout: 10_000 },
      )
      .toEqual([['1'], ['2']]);
  });

  it('count an answer without failures as success', async () => {
    await send('partial', 'nothing');
    await expect.poll(() => seen('worker').at(-1)?.bodies).toEqual(['nothing']);
    await expect.poll(() => waiting('partial')).toEqual([0, 0]);
  });

  it('run at most MaximumConcurrency batches at once', async () => {
    await Promise.all(['slow 1', 'slow 2', 'slow 3', 'slow 4'].map((body) => send('limited', body)));
    await expect.poll(() => seen('limitedworker').length, { timeout: 10_000 }).toBe(4);
    const times = seen('limitedworker')
      .map(({ now }) => now)
      .sort();
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(250);
    expect(cloud.functions.pids('limitedworker').length).toBeLessThanOrEqual(2);
  });

  it('give poison to the consumer of the dead-letter queue', async () => {
    await send('poison', 'throw');
    await expect
      .poll(() => seen('undertaker').flatMap(({ bodies }) => bodies), { timeout: 10_000 })
      .toEqual(['throw']);
    expect(seen('poisonworker')).toHaveLength(2);
  });
});

describe('partial batch answers', () => {
  const messages = [{ MessageId: 'a' }, { MessageId: 'b' }];
  const failed = (payload: unknown) => [
    ...failedMessages({ payload: JSON.stringify(payload) }, messages, true),
  ];

  it.each([
    ['null', null, []],
    ['no list', {}, []],
    ['null as the list', { batchItemFailures: null }, []],
    ['an empty list', { batchItemFailures: [] }, []],
    ['one of them', { batchItemFailures: [{ itemIdentifier: 'b' }] }, ['b']],
    ['an unknown one', { batchItemFailures: [{ itemIdentifier: 'c' }] }, ['a', 'b']],
    ['an empty identifier', { batchItemFailures: [{ itemIdentifier: '' }] }, ['a', 'b']],
    ['a null identifier', { batchItemFailures: [{ itemIdentifier: null }] }, ['a', 'b']],
    ['a misspelt key', { batchItemFailures: [{ itemId: 'a' }] }, ['a', 'b']],
    ['no list but text', { batchItemFailures: 'a' }, ['a', 'b']],
  ])('%s', (_name, answer, expected) => {
    expect(failed(answer)).toEqual(expected);
  });

  it('means nothing to a source that does not report them', () => {
    const result = { payload: JSON.stringify({ batchItemFailures: [{ itemIdentifier: 'a' }] }) };
    expect([...failedMessages(result, messages, false)]).toEqual([]);
  });
});
