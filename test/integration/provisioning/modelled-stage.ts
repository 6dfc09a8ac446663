import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Bench, Stage } from './stage.ts';

/** A stage on which there are no servers: the PDS is the model, and SQS takes everything, to where `sqsClient` puts it. */
export function modelledStage(
  url: string,
  sqsClient: Pick<SQSClient, 'send'> = { send: async () => ({}) },
): Stage {
  return {
    pds: { url, adminPassword: 'model-admin', rateLimitBypassKey: 'model' },
    sqs: { queueUrl: () => 'https://sqs.model.test/queue' },
    sqsClient,
    gateway: { serve: () => {} },
  } as unknown as Stage;
}

/** The DID document that the PDS would read, as far as the model looks at it. */
export async function documentOf({ sql }: Pick<Bench, 'sql'>, did: string) {
  const [row] = await sql<{ key: string | null; endpoint: string | null }[]>`
    SELECT atproto_public_key AS key, pds_endpoint AS endpoint FROM user_pds_mapping WHERE pds_did = ${did}`;
  return row;
}
