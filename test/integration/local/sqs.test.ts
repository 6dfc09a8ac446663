import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  StartMessageMoveTaskCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sqs, startSqs } from '../../../infra/local/aws/sqs.ts';

let server: Sqs;
let sqs: SQSClient;

beforeAll(async () => {
  server = await startSqs();
  sqs = new SQSClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
});
afterAll(async () => {
  sqs.destroy();
  await server.stop();
});

const arnOf = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
const create = (QueueName: string, Attributes: Record<string, string> = {}) =>
  sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
const send = (name: string, MessageBody: string) =>
  sqs.send(
    new SendMessageCommand({
      QueueUrl: server.queueUrl(name),
      MessageBody,
      MessageAttributes: { origin: { DataType: 'String', StringValue: 'test' } },
    }),
  );
const receive = async (name: string) =>
  (
    await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: server.queueUrl(name),
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      }),
    )
  ).Messages ?? [];
const depth = async (name: string) => {
  const QueueUrl = server.queueUrl(name);
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
  return Number(Attributes?.ApproximateNumberOfMessages);
};
const redrive = (deadLetters: string, maxReceiveCount: number) => ({
  RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf(deadLetters), maxReceiveCount }),
});

describe('SQS', () => {
  it('delivers under the URL that we hand out', async () => {
    await create('plain');
    await send('plain', 'hello');
    const [message] = await receive('plain');
    expect(message).toMatchObject({ Body: 'hello', Attributes: { ApproximateReceiveCount: '1' } });
    const QueueUrl = server.queueUrl('plain');
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
    expect(await depth('plain')).toBe(0);
  });

  it('gives a message that was received too often to the dead-letter queue', async () => {
    await create('letters-dead');
    await create('letters', { ...redrive('letters-dead', 2), VisibilityTimeout: '0' });
    await send('letters', 'poison');
    for (let i = 0; i < 3; i++) await receive('letters');
    expect([await depth('letters'), await depth('letters-dead')]).toEqual([0, 1]);
  });

  it('says that a queue does not exist', async () => {
    await expect(sqs.send(new GetQueueUrlCommand({ QueueName: 'nobody' }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
    });
  });
});

describe('StartMessageMoveTask', () => {
  it('moves all dead letters back to their queue, attributes included', async () => {
    await create('moved-dead');
    await create('moved', redrive('moved-dead', 3));
    for (let i = 0; i < 25; i++) await send('moved-dead', `letter ${i}`);
    const task = await sqs.send(new StartMessageMoveTaskCommand({ SourceArn: arnOf('moved-dead') }));
    expect(task.TaskHandle).toBeTypeOf('string');
    expect([await depth('moved-dead'), await depth('moved')]).toEqual([0, 25]);
    const [message] = await receive('moved');
    expect(message).toMatchObject({
      Body: 'letter 0',
      MessageAttributes: { origin: { StringValue: 'test' } },
      Attributes: { ApproximateReceiveCount: '1' },
    });
  });

  it('moves to another queue when one is named', async () => {
    await create('from');
    await create('to');
    await send('from', 'letter');
    await sqs.send(
      new StartMessageMoveTaskCommand({ SourceArn: arnOf('from'), DestinationArn: arnOf('to') }),
    );
    expect([await depth('from'), await depth('to')]).toEqual([0, 1]);
  });

  it('refuses a queue that is nobody’s dead-letter queue, and one that does not exist', async () => {
    await create('lonely');
    for (const name of ['lonely', 'nobody']) {
      const task = sqs.send(new StartMessageMoveTaskCommand({ SourceArn: arnOf(name) }));
      await expect(task).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    }
  });
});
