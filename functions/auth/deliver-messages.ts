import { setTimeout as sleep } from 'node:timers/promises';
import { type Delivered, deliverDue } from '../../lib/auth/bot/deliver.ts';
import { BOT_SETTINGS, openDelivery } from '../../lib/auth/bot/open-delivery.ts';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';

const settings = await readSettings(['DATABASE_URL', ...BOT_SETTINGS]);
const metrics = openMetrics('auth');
const sql = connect(settings.DATABASE_URL, { applicationName: 'deliver-messages' });
const deps = {
  ...openDelivery(sql, settings, { timeoutSeconds: 5 }),
  now: () => performance.now(),
  sleep: (ms: number) => sleep(ms),
  log: openLog('deliver-messages'),
  metrics,
};
const awake = wakeAfterFreeze(sql);

/** Every minute: what the bot could not say at once. */
export async function handler(): Promise<Delivered> {
  await awake();
  try {
    return await deliverDue(deps);
  } finally {
    metrics.flush();
  }
}
