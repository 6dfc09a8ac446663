import { SQSClient } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { sweepMessages } from '../../lib/lifecycle/sweep/sweep-messages.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { openOutside } from '../../lib/pds/probes/outside.ts';
import { providersFrom } from '../../lib/pds/provider.ts';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

/** Of the two minutes that a run has: what is begun by then has time to end. */
const RUN_SECONDS = 60;

const settings = await readSettings([
  'DATABASE_URL',
  'HEALTH_QUEUE_URL',
  ...VAULT_SETTINGS,
  'PDS_TIMES',
  'PDS_CREDENTIAL_CHECK_HOURS',
  'PDS_PLC_URL',
  ...PROVIDER_SETTINGS,
]);
const sql = connect(settings.DATABASE_URL, { applicationName: 'sweep-health', max: 2 });
const deps = {
  sql,
  vault: await openVault(settings, sql),
  providers: providersFrom(settings),
  fetch: globalThis.fetch,
  outside: openOutside(settings),
  now: () => new Date(),
  sqs: new SQSClient(),
  queueUrl: settings.HEALTH_QUEUE_URL,
  checkHours: settings.PDS_CREDENTIAL_CHECK_HOURS,
  leaseSeconds: TIMES[settings.PDS_TIMES].lease,
  runSeconds: RUN_SECONDS,
  log: openLog('sweep-health'),
  metrics: openMetrics('lifecycle'),
};
const awake = wakeAfterFreeze(sql);

/** Looks how the members of one data key are. A message comes back only when something unforeseen cut its work short. */
export async function handler({ Records }: SQSEvent): Promise<SQSBatchResponse> {
  await awake();
  return sweepMessages(deps, Records);
}
