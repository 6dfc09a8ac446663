import { CreateTopicCommand, SNSClient } from '@aws-sdk/client-sns';
import * as z from 'zod';
import { arn, kind, physicalName } from './cloud.ts';

/** AWS::SNS::Topic: what functions publish to. Nobody is subscribed here: what they tell is in their log. */
const topic = kind(
  { TopicName: z.string().optional() },
  ['DisplayName', 'SignatureVersion', 'TracingConfig'],
  async (cloud, resource, { TopicName }) => {
    const name = TopicName ?? physicalName(resource);
    const { region, sqs, sqsUrl: endpoint } = cloud;
    const sns = new SNSClient({ region, endpoint, credentials: sqs.config.credentials });
    await sns.send(new CreateTopicCommand({ Name: name })).finally(() => sns.destroy());
    const topicArn = arn(cloud, 'sns', name);
    return { ref: topicArn, attributes: { TopicArn: topicArn, TopicName: name } };
  },
);

export const topicKinds = { 'AWS::SNS::Topic': topic };
