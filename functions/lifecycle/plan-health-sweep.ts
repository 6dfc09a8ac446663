import { SQSClient } from '@aws-sdk/client-sqs';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { planSweep } from '../../lib/lifecycle/sweep/plan.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { providersFrom } from '../../lib/pds/provider.ts';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';

/** Of the 15 minutes that a function has at most. */
const LISTING_MS = 12 * 60_000;

const settings = await readSettings([
  'DATABASE_URL',
  'HEALTH_QUEUE_URL',
  'PDS_CREDENTIAL_CHECK_HOURS',
  ...PROVIDER_SETTINGS,
]);
const metrics = openMetrics('lifecycle');
const deps = {
  sql: connect(settings.DATABASE_URL, { applicationName: 'plan-health-sweep' }),
  providers: providersFrom(settings),
  fetch: globalThis.fetch,
  now: () => new Date(),
  sqs: new SQSClient(),
  queueUrl: settings.HEALTH_QUEUE_URL,
  checkHours: settings.PDS_CREDENTIAL_CHECK_HOURS,
  log: openLog('plan-health-sweep'),
  metrics,
};
const awake = wakeAfterFreeze(deps.sql);

/** Every hour; when it fails, once more after a while: that run goes on with what this one began. */
export async function handler(): Promise<{ sweepId: number; cohorts: number } | null> {
  await awake();
  try {
    return (await planSweep({ ...deps, deadline: new Date(Date.now() + LISTING_MS) })) ?? null;
  } finally {
    metrics.flush();
  }
}
