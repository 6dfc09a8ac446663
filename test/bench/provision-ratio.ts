import { randomBytes } from 'node:crypto';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { connect } from '../../lib/db/connect.ts';
import { backUpCredentials } from '../../lib/lifecycle/backup.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { enqueue } from '../../lib/provisioning/queue.ts';
import { performWork } from '../../lib/provisioning/work.ts';
import { makeBareAccount } from './bare-account.ts';
import { DOMAIN, type Ground } from './ground.ts';
import { inTurn, timed } from './measure.ts';

/**
 * One identity by the bare PDS calls, one by our worker, in turn. Ours runs from the message to the active identity:
 * claim, keys, sealing under KMS, every step stored, hostnames, backup, audit, first check enqueued and sent.
 */
export async function measureProvisioning(ground: Ground, rounds: number) {
  const { pds, hosts } = ground;
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_ENDPOINT_URL_KMS: ground.kms.url,
    AWS_ENDPOINT_URL_SQS: ground.sqs.url,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  const sqs = new SQSClient();
  await sqs.send(new CreateQueueCommand({ QueueName: 'provisioning' }));
  sqs.destroy();

  const worker = await openWorker(
    {
      PDS_ENVIRONMENT: 'bench',
      PDS_TIMES: 'production',
      PDS_DOMAIN: DOMAIN,
      PDS_EMAIL_DOMAIN: DOMAIN,
      PDS_HANDLE_STRATEGY: 'username',
      PDS_DID_METHOD: 'web',
      PDS_MODE: 'local',
      PDS_LOCAL_ENDPOINT: pds.url,
      PDS_LOCAL_WEIGHT: 1,
      PDS_REMOTE_PROVIDER: undefined,
      PDS_REMOTE_WEIGHT: 1,
      PDS_REMOTE_INVITE_CODE: undefined,
      PDS_REMOTE_ADMIN_PASSWORD: undefined,
      PDS_APP_ORIGIN: 'http://localhost:3001',
      PDS_ADMIN_DID: undefined,
      PDS_PLC_URL: 'http://127.0.0.1:9',
      PDS_ADMIN_PASSWORD: pds.adminPassword,
      PDS_RATE_LIMIT_BYPASS_KEY: undefined,
      PDS_KMS_KEY_ID: ground.kms.ensureKey('3f1d9b52-6c62-4f0e-9f5c-0d2f6c1f7a11'),
      PDS_ENCRYPTION_KEY: undefined,
      DATABASE_URL: ground.workerUrl,
      PROVISIONING_QUEUE_URL: ground.sqs.queueUrl('provisioning'),
    },
    backUpCredentials,
  );
  const api = connect(ground.apiUrl);
  try {
    await storeProviders(worker.sql, worker.providers);
    const name = (kind: string) => `${kind}-${randomBytes(4).toString('hex')}`;
    return await inTurn(
      { rounds, warmUp: 3 },
      () => makeBareAccount(pds, hosts, { name: name('bare'), domain: DOMAIN }),
      async (round) => {
        const userId = String(700_000_000 + round);
        await api`INSERT INTO users (id, username) VALUES (${userId}, ${name('ours').replace('-', '_')})`;
        const { queueId } = await api.begin((tx) => enqueue(tx, { userId, action: 'create' }));
        return timed(async () => {
          const result = await performWork(worker, queueId);
          if (result !== 'done') throw new Error(`provisioning ended as ${result}`);
        });
      },
    );
  } finally {
    worker.sqs.destroy();
    await Promise.all([worker.sql.end(), api.end()]);
  }
}
