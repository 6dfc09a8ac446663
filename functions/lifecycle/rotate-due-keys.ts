import { readSettings } from '../../lib/config.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { type RotatedDue, rotateDue, WIDTH } from '../../lib/lifecycle/rotate/rotate-due.ts';
import { openWorker } from '../../lib/provisioning/open-worker.ts';
import { readiness } from '../../lib/provisioning/queue-worker.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';

/** Of the Lambda's 10 minutes: what is begun by then has time to end. */
const RUN_MS = 8 * 60_000;

const settings = await readSettings([...WORKER_SETTINGS, 'CHANGES_QUEUE_URL']);
const worker = await openWorker(settings, {
  name: 'rotate-due-keys',
  service: 'lifecycle',
  actions: {}, // its runs say themselves what they do
  queueUrl: settings.CHANGES_QUEUE_URL,
  backUpCredentials,
  width: WIDTH,
});
const ready = readiness(worker);

/** Every 15 minutes: rotates the keys of those who are due, and takes old ones out of the documents. */
export async function handler(): Promise<RotatedDue | null> {
  if (!settings.PDS_PROVISIONING_ENABLED) return null;
  await ready();
  try {
    return await rotateDue(worker, new Date(Date.now() + RUN_MS));
  } finally {
    worker.metrics.flush();
  }
}
