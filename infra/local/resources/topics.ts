import * as z from 'zod';
import { arn, kind, physicalName } from './cloud.ts';

/** AWS::SNS::Topic: a name for alarms to point at. Nothing here publishes to it and nobody is subscribed. */
const topic = kind(
  { TopicName: z.string().optional() },
  ['DisplayName', 'SignatureVersion', 'TracingConfig'],
  async (cloud, resource, { TopicName }) => {
    const name = TopicName ?? physicalName(resource);
    const topicArn = arn(cloud, 'sns', name);
    return { ref: topicArn, attributes: { TopicArn: topicArn, TopicName: name } };
  },
);

export const topicKinds = { 'AWS::SNS::Topic': topic };
