import { readSettings } from '../../lib/config.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { openQueueWorker } from '../../lib/provisioning/queue-worker.ts';
import { PROVISIONING } from '../../lib/provisioning/work.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';

const settings = await readSettings([...WORKER_SETTINGS, 'PROVISIONING_QUEUE_URL']);

/** Makes identities, and looks after them. */
export const handler = await openQueueWorker(settings, {
  name: 'provision-identity',
  service: 'provisioning',
  actions: PROVISIONING,
  queueUrl: settings.PROVISIONING_QUEUE_URL,
  backUpCredentials,
});
