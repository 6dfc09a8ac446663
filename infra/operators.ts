import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { Stage } from './stage.ts';

/** Where the alarms of a region go. Kept, since its subscribers' confirmations are state. */
export function addOperatorsTopic(scope: Construct, stage: Stage): Topic {
  const topic = new Topic(scope, 'operators', { displayName: `PDS ${stage.name}`, enforceSSL: true });
  topic.applyRemovalPolicy(RemovalPolicy.RETAIN);
  // With a policy of its own a topic loses the one by which the whole account may publish, alarms included.
  const conditions = { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } };
  topic.grantPublish(new ServicePrincipal('cloudwatch.amazonaws.com', { conditions }));
  if (stage.operatorEmail) topic.addSubscription(new EmailSubscription(stage.operatorEmail));
  return topic;
}
