import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { Publish } from './publish-messages.ts';

/** Longer than that nobody waits for the topic: the next run tries again. */
const TIMEOUT_MS = 5_000;

/** The operators' topic. Rejects when it is not known to have taken a message, which it may have all the same. */
export function openTopic(topicArn: string): Publish {
  const sns = new SNSClient({ maxAttempts: 1 });
  return async ({ subject, text }) => {
    await sns.send(new PublishCommand({ TopicArn: topicArn, Subject: subject, Message: text }), {
      abortSignal: AbortSignal.timeout(TIMEOUT_MS),
    });
  };
}
