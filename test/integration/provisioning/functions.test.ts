import { randomBytes } from 'node:crypto';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { messageBody } from '../../../lib/provisioning/queue/queue.ts';
import { type Bench, DOMAIN, identityOf, openBench, openStage, rowOf, type Stage } from './stage.ts';

/** The Lambdas as they are deployed: what they need comes from the environment and nowhere else. */
describe('the functions of provisioning', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage();
    bench = await openBench(stage);
    await stage.sqsClient.send(new CreateQueueCommand({ QueueName: 'functions' }));
    const environment = {
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL_SQS: stage.sqs.url,
      PROVISIONING_QUEUE_URL: stage.sqs.queueUrl('functions'),
      CHANGES_QUEUE_URL: stage.sqs.queueUrl('functions'),
      DATABASE_URL: bench.database.workerUrl,
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
      PDS_ENVIRONMENT: 'test',
      PDS_TIMES: 'test',
      PDS_DOMAIN: DOMAIN,
      PDS_APP_ORIGIN: `https://app.${DOMAIN}`,
      PDS_EMAIL_DOMAIN: 'mail.pnptv.test',
      PDS_LOCAL_ENDPOINT: stage.pds.url,
      PDS_ADMIN_DID: `did:web:chiefs.${DOMAIN}`,
      PDS_ADMIN_PASSWORD: stage.pds.adminPassword,
      PDS_RATE_LIMIT_BYPASS_KEY: stage.pds.rateLimitBypassKey,
      PDS_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await bench.close();
    await stage.close();
  });

  const event = (...bodies: string[]): SQSEvent => ({
    Records: bodies.map((body, n) => ({
      messageId: `message-${n}-${body}`,
      body,
      receiptHandle: '',
      attributes: {
        ApproximateReceiveCount: '6',
        SentTimestamp: '',
        SenderId: '',
        ApproximateFirstReceiveTimestamp: '',
      },
      messageAttributes: {},
      md5OfBody: '',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:eu-central-1:000000000000:provisioning-dead-letters',
      awsRegion: 'eu-central-1',
    })),
  });

  it('provision-identity works on a batch and gives back only what it could not even begin', async () => {
    const { handler } = await import('../../../functions/provisioning/provision-identity.ts');
    const [one, two] = [await bench.member(), await bench.member({ username: 'chiefs' })];
    const answer = await handler(event(messageBody(one.queueId), 'not ours', messageBody(two.queueId)));
    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-1-not ours' }] });
    expect(await identityOf(bench, one.userId)).toMatchObject({ status: 'active' });
    const operator = await identityOf(bench, two.userId);
    expect(operator).toMatchObject({ status: 'active' });
    expect(operator.pds_handle).not.toBe(`chiefs.${DOMAIN}`);
  });

  it('relay sends what is due', async () => {
    const { handler } = await import('../../../functions/provisioning/relay.ts');
    await bench.member();
    expect((await handler()).sent).toBeGreaterThanOrEqual(1);
    expect(await handler()).toEqual({ sent: 0, failed: 0 });
  });

  it('dead-letter marks the work as failed and says where the message died', async () => {
    const { handler } = await import('../../../functions/provisioning/dead-letter.ts');
    const { userId, queueId } = await bench.member();
    expect(await handler(event(messageBody(queueId)))).toEqual({ batchItemFailures: [] });
    expect(await rowOf(bench, queueId)).toMatchObject({ status: 'failed' });
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'error', error_code: 'WORKER_CRASHED' });
    const [letter] =
      await bench.sql`SELECT source_queue, receive_count FROM dead_letters WHERE queue_id = ${queueId}`;
    expect(letter).toEqual({ source_queue: 'provisioning-dead-letters', receive_count: 6 });
  });

  it('do nothing while provisioning is disabled, and lose nothing', async () => {
    vi.resetModules();
    vi.stubEnv('PDS_PROVISIONING_ENABLED', 'false');
    const worker = await import('../../../functions/provisioning/provision-identity.ts');
    const relay = await import('../../../functions/provisioning/relay.ts');
    const { queueId } = await bench.member();
    expect(await worker.handler(event(messageBody(queueId)))).toEqual({ batchItemFailures: [] });
    expect(await relay.handler()).toEqual({ sent: 0, failed: 0 });
    expect(await rowOf(bench, queueId)).toMatchObject({ status: 'pending', claims: 0 });
  });

  it('do not start with settings that this version cannot fulfil, and name them', async () => {
    vi.resetModules();
    vi.stubEnv('PDS_MODE', 'both');
    vi.stubEnv('PDS_DID_METHOD', 'key');
    await expect(import('../../../functions/provisioning/provision-identity.ts')).rejects.toThrow(
      /PDS_DID_METHOD: must be web or plc.*PDS_MODE: must be local, remote or hybrid/,
    );
  });
});
