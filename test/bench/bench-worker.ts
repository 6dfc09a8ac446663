import { randomBytes } from 'node:crypto';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Sql } from '../../lib/db/connect.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { enqueue, type QueueId } from '../../lib/provisioning/queue/queue.ts';
import { PROVISIONING } from '../../lib/provisioning/work.ts';
import { DOMAIN, type Ground } from './ground.ts';

/** The worker as its Lambda has it, with connections of its own to everything on the ground. */
export async function openBenchWorker(ground: Ground) {
  useGround(ground);
  const sqs = new SQSClient();
  await sqs.send(new CreateQueueCommand({ QueueName: 'provisioning' }));
  sqs.destroy();

  return openWorker(benchSettings(ground), {
    name: 'provision-identity',
    service: 'provisioning',
    actions: PROVISIONING,
    queueUrl: ground.sqs.queueUrl('provisioning'),
    backUpCredentials,
  });
}

/** Has the AWS SDK of this process find what stands on the ground. */
export function useGround(ground: Ground): void {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_ENDPOINT_URL_KMS: ground.kms.url,
    AWS_ENDPOINT_URL_SQS: ground.sqs.url,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
}

/** What the settings would say of this ground. */
export function benchSettings(ground: Ground) {
  return {
    PDS_ENVIRONMENT: 'bench',
    PDS_TIMES: 'production',
    PDS_DOMAIN: DOMAIN,
    PDS_EMAIL_DOMAIN: DOMAIN,
    PDS_HANDLE_STRATEGY: 'username',
    PDS_HANDLE_GRACE_DAYS: 7,
    PDS_DID_METHOD: 'web',
    PDS_MODE: 'local',
    PDS_LOCAL_ENDPOINT: ground.pds.url,
    PDS_LOCAL_WEIGHT: 1,
    PDS_REMOTE_PROVIDER: undefined,
    PDS_REMOTE_WEIGHT: 1,
    PDS_REMOTE_INVITE_CODE: undefined,
    PDS_REMOTE_ADMIN_PASSWORD: undefined,
    PDS_APP_ORIGIN: 'http://localhost:3001',
    PDS_ADMIN_DID: undefined,
    PDS_PRIVATE_TARGETS: false,
    PDS_PLC_URL: 'http://127.0.0.1:9',
    PDS_ADMIN_PASSWORD: ground.pds.adminPassword,
    PDS_RATE_LIMIT_BYPASS_KEY: undefined,
    PDS_KMS_KEY_ID: ground.kms.ensureKey('3f1d9b52-6c62-4f0e-9f5c-0d2f6c1f7a11'),
    PDS_KMS_OLD_KEY_IDS: undefined,
    PDS_ENCRYPTION_KEY: undefined,
    PDS_OLD_ENCRYPTION_KEYS: undefined,
    PDS_PROVISIONING_ENABLED: true,
    PDS_KEY_ROTATION_DAYS: 90,
    PDS_KEY_GRACE_DAYS: 7,
    DATABASE_URL: ground.workerUrl,
  } as const;
}

/** Somebody new who has just logged in, and the row of his work. */
export async function newcomer(api: Sql, userId: string): Promise<QueueId> {
  await api`INSERT INTO users (id, username) VALUES (${userId}, ${uniqueName('ours').replace('-', '_')})`;
  const { queueId } = await api.begin((tx) => enqueue(tx, { userId, action: 'create' }));
  return queueId;
}

export function uniqueName(kind: string): string {
  return `${kind}-${randomBytes(4).toString('hex')}`;
}
