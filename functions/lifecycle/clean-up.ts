import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { countOpenChanges } from '../../lib/lifecycle/changes/overdue.ts';
import { type CleanedUp, cleanUp } from '../../lib/lifecycle/clean-up/clean-up.ts';
import { createStorage, openS3 } from '../../lib/lifecycle/export/storage.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';

/** Of the Lambda's 5 minutes: a step may take one (the role's statement_timeout). */
const WITHIN_MS = 200_000;

const settings = await readSettings(['DATABASE_URL', 'PDS_PROVISIONING_ENABLED', 'EXPORTS_BUCKET']);
const metrics = openMetrics('lifecycle');
const sql = connect(settings.DATABASE_URL, { applicationName: 'clean-up' });
const deps = {
  sql,
  provisioningEnabled: settings.PDS_PROVISIONING_ENABLED,
  exports: createStorage(openS3(), settings.EXPORTS_BUCKET),
  now: () => performance.now(),
  log: openLog('clean-up'),
  metrics,
};
const awake = wakeAfterFreeze(sql);

/** Every hour: deletes what is over, fails work that nobody did, and counts the changes that are not over. */
export async function handler(): Promise<CleanedUp> {
  await awake();
  try {
    await countOpenChanges(sql, metrics, new Date());
    return await cleanUp(deps, { withinMs: WITHIN_MS });
  } finally {
    metrics.flush();
  }
}
