import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { readSettings } from '../../lib/config.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { backUpCredentials } from '../../lib/lifecycle/backup.ts';
import { once } from '../../lib/once.ts';
import { PROVIDER_RIGHTS, PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { performMessages } from '../../lib/provisioning/messages.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';

const settings = await readSettings([
  ...PROVIDER_SETTINGS,
  ...PROVIDER_RIGHTS,
  'PDS_ENVIRONMENT',
  'PDS_TIMES',
  'PDS_DOMAIN',
  'PDS_EMAIL_DOMAIN',
  'PDS_DID_METHOD',
  'PDS_PLC_URL',
  'PDS_HANDLE_STRATEGY',
  'PDS_PROVISIONING_ENABLED',
  'PDS_APP_ORIGIN',
  'PDS_ADMIN_DID',
  'PDS_KMS_KEY_ID',
  'PDS_ENCRYPTION_KEY',
  'DATABASE_URL',
  'PROVISIONING_QUEUE_URL',
]);
const worker = await openWorker(settings, backUpCredentials);
const awake = wakeAfterFreeze(worker.sql);
const providersStored = once(() => storeProviders(worker.sql, worker.providers));

/** Does the work that the messages name. A message comes back only when nothing could be written down. */
export async function handler({ Records }: SQSEvent): Promise<SQSBatchResponse> {
  if (!settings.PDS_PROVISIONING_ENABLED) return { batchItemFailures: [] };
  await awake();
  await providersStored();
  return performMessages(worker, Records);
}
