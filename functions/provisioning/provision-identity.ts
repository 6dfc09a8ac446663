import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { readSettings } from '../../lib/config.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { once } from '../../lib/once.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { performMessages } from '../../lib/provisioning/messages.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { PROVISIONING } from '../../lib/provisioning/work.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';

const settings = await readSettings([...WORKER_SETTINGS, 'PROVISIONING_QUEUE_URL']);
const worker = await openWorker(settings, {
  name: 'provision-identity',
  service: 'provisioning',
  actions: PROVISIONING,
  queueUrl: settings.PROVISIONING_QUEUE_URL,
  backUpCredentials,
});
const awake = wakeAfterFreeze(worker.sql);
const providersStored = once(() => storeProviders(worker.sql, worker.providers));

/** Does the work that the messages name. A message comes back only when nothing could be written down. */
export async function handler({ Records }: SQSEvent): Promise<SQSBatchResponse> {
  if (!settings.PDS_PROVISIONING_ENABLED) return { batchItemFailures: [] };
  await awake();
  await providersStored();
  return performMessages(worker, Records);
}
