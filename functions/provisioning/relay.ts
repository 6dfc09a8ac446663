import { SQSClient } from '@aws-sdk/client-sqs';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { relay, sendDueChanges } from '../../lib/provisioning/queue/relay.ts';

const settings = await readSettings([
  'DATABASE_URL',
  'PROVISIONING_QUEUE_URL',
  'CHANGES_QUEUE_URL',
  'PDS_PROVISIONING_ENABLED',
]);
const metrics = openMetrics('provisioning');
const deps = {
  sql: connect(settings.DATABASE_URL, { applicationName: 'relay' }),
  sqs: new SQSClient({ maxAttempts: 1 }),
  queueUrl: settings.PROVISIONING_QUEUE_URL,
  now: () => new Date(),
  log: openLog('relay'),
  metrics,
};
const awake = wakeAfterFreeze(deps.sql);

/** Every minute. While provisioning is disabled the rows wait. */
export async function handler(): Promise<{ sent: number; failed: number }> {
  if (!settings.PDS_PROVISIONING_ENABLED) return { sent: 0, failed: 0 };
  await awake();
  try {
    const work = await relay(deps);
    const changes = await sendDueChanges({ ...deps, queueUrl: settings.CHANGES_QUEUE_URL });
    return { sent: work.sent + changes.sent, failed: work.failed + changes.failed };
  } finally {
    metrics.flush();
  }
}
