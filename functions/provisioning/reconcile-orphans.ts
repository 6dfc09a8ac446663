import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { providersFrom } from '../../lib/pds/provider.ts';
import { PROVIDER_RIGHTS, PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { reconcileOrphans } from '../../lib/provisioning/orphans/reconcile.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

/** Some less than the function's time-out. */
const RUN_MS = 270_000;

const settings = await readSettings([
  ...PROVIDER_SETTINGS,
  ...PROVIDER_RIGHTS,
  ...VAULT_SETTINGS,
  'PDS_TIMES',
  'DATABASE_URL',
]);
// Two connections: opening a data key may need one while a transaction holds the other.
const sql = connect(settings.DATABASE_URL, { applicationName: 'reconcile-orphans', max: 2 });
const metrics = openMetrics('provisioning');
const deps = {
  sql,
  vault: await openVault(settings, sql),
  providers: providersFrom(settings),
  fetch: globalThis.fetch,
  now: () => new Date(),
  times: TIMES[settings.PDS_TIMES],
  log: openLog('reconcile-orphans'),
  metrics,
};
const awake = wakeAfterFreeze(sql);

/** Every 15 minutes. */
export async function handler(): Promise<Awaited<ReturnType<typeof reconcileOrphans>>> {
  await awake();
  try {
    return await reconcileOrphans(deps, new Date(Date.now() + RUN_MS));
  } finally {
    metrics.flush();
  }
}
