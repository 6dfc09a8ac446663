import { readSettings } from '../../lib/config.ts';
import { CHANGES } from '../../lib/lifecycle/changes/kinds.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { exporting } from '../../lib/lifecycle/export/perform.ts';
import { createStorage, openS3 } from '../../lib/lifecycle/export/storage.ts';
import { openQueueWorker } from '../../lib/provisioning/queue-worker.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';

const settings = await readSettings([...WORKER_SETTINGS, 'CHANGES_QUEUE_URL', 'EXPORTS_BUCKET']);

/** Goes on with the changes of identities, and with exports. */
export const handler = await openQueueWorker(settings, {
  name: 'change-identity',
  service: 'lifecycle',
  actions: { ...CHANGES, export: exporting(createStorage(openS3(), settings.EXPORTS_BUCKET)) },
  queueUrl: settings.CHANGES_QUEUE_URL,
  backUpCredentials,
});
