import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
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
  sqs.send(new SendMessageCommand({ QueueUrl: server.queueUrl(name), MessageBody }));
const receive = async (name: string) =>
  (
    await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: server.queueUrl(name),
        MaxNumberOfMessages: 10,
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
