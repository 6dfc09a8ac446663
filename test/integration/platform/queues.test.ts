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

/** After how long a failed message comes back: more than a warm function needs on a loaded machine. */
const COMES_BACK = { VisibilityTimeout: 2 };
/** For tests that want every message once. */
const STAYS_AWAY = { VisibilityTimeout: 30 };
const POLL = { timeout: 15_000, interval: 100 };
const TEST_LIMIT_MS = 40_000;

/** A queue of one test, with a consumer of its own: what the other tests do cannot be seen here. */
const queue = (name: string, visibility: typeof COMES_BACK, properties: object = {}) => ({
  [`${name}dead`]: { Type: 'AWS::SQS::Queue', Properties: { MessageRetentionPeriod: 1_209_600 } },
  [name]: {
    Type: 'AWS::SQS::Queue',
    Properties: {
      ...visibility,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': [`${name}dead`, 'Arn'] }, maxReceiveCount: 2 },
    },
  },
  ...consumer(name, properties),
});
const consumer = (name: string, properties: object = {}) => ({
  [`${name}worker`]: lambda('worker', { Timeout: 10 }),
  [`${name}source`]: {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: {
      EventSourceArn: { 'Fn::GetAtt': [name, 'Arn'] },
      FunctionName: { Ref: `${name}worker` },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BatchSize: 10,
      ...properties,
    },
  },
});

describe('queues and their consumers', { timeout: TEST_LIMIT_MS }, () => {
  let cloud: RunningCloud;
  let sqs: SQSClient;
  const batches: { fn: string; bodies: string[]; counts: string[]; now: number }[] = [];
  const seen = (name: string) => batches.filter(({ fn }) => fn === `${name}worker`);
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
            ...queue('partial', COMES_BACK),
            ...queue('stranger', COMES_BACK),
            ...queue('nothing', STAYS_AWAY),
            ...queue('limited', STAYS_AWAY, { BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 } }),
            ...queue('poison', COMES_BACK, { BatchSize: 1 }),
            ...consumer('poisondead'),
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
    await expect.poll(() => waiting('partialdead'), POLL).toEqual([1, 0]);
    const received = seen('partial').flatMap(({ bodies }) => bodies);
    expect(received.toSorted()).toEqual(['fail 1', 'fail 1', 'good 1', 'good 2']);
    expect(await waiting('partial')).toEqual([0, 0]);
    const { Messages } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: cloud.queueUrl('partialdead') }),
    );
    expect(Messages?.map(({ Body }) => Body)).toEqual(['fail 1']);
  });

  it('fail the whole batch for an identifier that is none of it', async () => {
    await send('stranger', 'stranger');
    await expect.poll(() => waiting('strangerdead'), POLL).toEqual([1, 0]);
    expect(seen('stranger').map(({ counts }) => counts)).toEqual([['1'], ['2']]);
  });

  it('count an answer without failures as success', async () => {
    await send('nothing', 'nothing');
    await expect.poll(() => seen('nothing').map(({ bodies }) => bodies), POLL).toEqual([['nothing']]);
    await expect.poll(() => waiting('nothing'), POLL).toEqual([0, 0]);
    expect(await waiting('nothingdead')).toEqual([0, 0]);
  });

  it('run at most MaximumConcurrency batches at once', async () => {
    await Promise.all(['slow 1', 'slow 2', 'slow 3', 'slow 4'].map((body) => send('limited', body)));
    await expect.poll(() => seen('limited').length, POLL).toBe(4);
    const times = seen('limited')
      .map(({ now }) => now)
      .sort();
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(250);
    expect(cloud.functions.pids('limitedworker').length).toBeLessThanOrEqual(2);
  });

  it('give poison to the consumer of the dead-letter queue', async () => {
    await send('poison', 'throw');
    await expect.poll(() => seen('poisondead').flatMap(({ bodies }) => bodies), POLL).toEqual(['throw']);
    expect(seen('poison')).toHaveLength(2);
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
