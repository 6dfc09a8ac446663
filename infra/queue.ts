import { Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** A queue of the house: encrypted, over TLS only, named after its stage. */
export function addQueue(scope: Construct, id: string, stageName: string, props: QueueProps): Queue {
  return new Queue(scope, id, {
    queueName: `${stageName}-${id}`,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    ...props,
  });
}
