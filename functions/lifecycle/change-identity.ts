import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { readSettings } from '../../lib/config.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { CHANGES } from '../../lib/lifecycle/changes/kinds.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { exporting } from '../../lib/lifecycle/export/perform.ts';
import { createStorage, openS3 } from '../../lib/lifecycle/export/storage.ts';
import { once } from '../../lib/once.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import { performMessages } from '../../lib/provisioning/messages.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';

const settings = await readSettings([...WORKER_SETTINGS, 'CHANGES_QUEUE_URL', 'EXPORTS_BUCKET']);
const worker = await openWorker(settings, {
  name: 'change-identity',
  service: 'lifecycle',
  actions: { ...CHANGES, export: exporting(createStorage(openS3(), settings.EXPORTS_BUCKET)) },
  queueUrl: settings.CHANGES_QUEUE_URL,
  backUpCredentials,
});
const awake = wakeAfterFreeze(worker.sql);
const providersStored = once(() => storeProviders(worker.sql, worker.providers));

/** Goes on with the changes that the messages name. A message comes back only when nothing could be written down. */
export async function handler({ Records }: SQSEvent): Promise<SQSBatchResponse> {
  if (!settings.PDS_PROVISIONING_ENABLED) return { batchItemFailures: [] };
  await awake();
  await providersStored();
  return performMessages(worker, Records);
}
