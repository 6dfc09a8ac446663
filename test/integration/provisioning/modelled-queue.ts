import type { SendMessageBatchCommandInput, SendMessageCommandInput } from '@aws-sdk/client-sqs';
import { type QueueId, readMessage } from '../../../lib/provisioning/queue/queue.ts';

type Input = SendMessageCommandInput & Partial<SendMessageBatchCommandInput>;

/** SQS on a clock of its own: what is due comes nearly in the order in which it was sent, as a standard queue has it. */
export function modelledQueue({ now, random }: { now: () => number; random: () => number }) {
  const messages: { queueId: QueueId; at: number }[] = [];
  let sent = 0;

  function put(body: string | undefined, delaySeconds = 0) {
    const queueId = readMessage(body ?? '');
    if (queueId === undefined) throw new Error(`no message of ours: ${body}`);
    messages.push({ queueId, at: now() + delaySeconds * 1000 });
    sent += 1;
  }

  return {
    /** What an SQSClient does with SendMessage and SendMessageBatch. */
    client: {
      async send({ input }: { input: Input }) {
        if (input.MessageBody !== undefined) put(input.MessageBody, input.DelaySeconds);
        if (!input.Entries) return {};
        for (const { MessageBody, DelaySeconds } of input.Entries) put(MessageBody, DelaySeconds);
        return { Successful: input.Entries.map(({ Id }) => ({ Id })) };
      },
    },
    sent: () => sent,
    nextAt: () => Math.min(...messages.map(({ at }) => at)),
    /** At most `most` messages that are due; two that were sent `shuffled` after each other may change places. */
    take(most: number, shuffled = 20): QueueId[] {
      const due = messages.filter(({ at }) => at <= now()).slice(0, Math.max(most, shuffled));
      return Array.from({ length: Math.min(most, due.length) }, () => {
        const [message] = due.splice(Math.floor(random() * due.length), 1);
        if (!message) throw new Error('there is one left');
        messages.splice(messages.indexOf(message), 1);
        return message.queueId;
      });
    },
  };
}
