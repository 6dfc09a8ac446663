import { randomUUID } from 'node:crypto';
import type { buildApp } from 'fauxqs';
import { startError } from '../process/child.ts';

type App = ReturnType<typeof buildApp>;
type Message = { Body: string; ReceiptHandle: string; MessageAttributes?: object };
type Answer = {
  QueueUrls?: string[];
  Attributes?: Record<string, string>;
  Messages?: Message[];
  QueueUrl?: string;
};

const JSON_1_0 = 'application/x-amz-json-1.0';

/**
 * Adds StartMessageMoveTask, which fauxqs lacks: moves the messages of a dead-letter queue back to the queue that
 * they came from, or to another one. Unlike the real one it has finished when it answers.
 */
export function addMessageMoveTask(app: App): void {
  const call = async (action: string, payload: object): Promise<Answer> => {
    const headers = { 'content-type': JSON_1_0, 'x-amz-target': `AmazonSQS.${action}` };
    const response = await app.inject({
      method: 'POST',
      url: '/',
      headers,
      payload: JSON.stringify(payload),
    });
    if (response.statusCode !== 200) throw startError('SQS', `${action} failed: ${response.body}`);
    return response.json();
  };
  const queueUrl = async (arn: string) =>
    (await call('GetQueueUrl', { QueueName: arn.split(':').at(-1) })).QueueUrl;

  async function sourceOf(deadLetterArn: string): Promise<string | undefined> {
    const { QueueUrls = [] } = await call('ListQueues', {});
    for (const QueueUrl of QueueUrls) {
      const { Attributes } = await call('GetQueueAttributes', {
        QueueUrl,
        AttributeNames: ['RedrivePolicy'],
      });
      if (JSON.parse(Attributes?.RedrivePolicy ?? '{}').deadLetterTargetArn === deadLetterArn)
        return QueueUrl;
    }
    return undefined;
  }

  async function move(from: string | undefined, to: string | undefined): Promise<void> {
    for (;;) {
      const batch = {
        QueueUrl: from,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        WaitTimeSeconds: 0,
      };
      const { Messages = [] } = await call('ReceiveMessage', batch);
      if (Messages.length === 0) return;
      for (const { Body, MessageAttributes, ReceiptHandle } of Messages) {
        await call('SendMessage', { QueueUrl: to, MessageBody: Body, MessageAttributes });
        await call('DeleteMessage', { QueueUrl: from, ReceiptHandle });
      }
    }
  }

  app.addHook('preHandler', async (request, reply) => {
    if (request.headers['x-amz-target'] !== 'AmazonSQS.StartMessageMoveTask') return;
    const { SourceArn, DestinationArn } = request.body as { SourceArn: string; DestinationArn?: string };
    const destination = DestinationArn ? await queueUrl(DestinationArn) : await sourceOf(SourceArn);
    reply.header('content-type', JSON_1_0);
    if (!destination) {
      const message = 'No queue has the source queue as its dead-letter queue.';
      return reply.code(400).send({ __type: 'com.amazonaws.sqs#ResourceNotFoundException', message });
    }
    await move(await queueUrl(SourceArn), destination);
    return reply.send({ TaskHandle: randomUUID() });
  });
}
