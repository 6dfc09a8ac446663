import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { openQueue } from '../../lib/pds/wake-worker.ts';
import { redriveAll } from '../../lib/provisioning/api.ts';
import { redriveEverything } from '../../lib/provisioning/dead-letters/redrive.ts';
import { sendDue } from '../../lib/provisioning/queue/relay.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL']);
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);
const metrics = openMetrics('provisioning');
/** What is left is for the next request: this one has 29 seconds, and the sending needs some of them. */
const WITHIN_MS = 18_000;

export const handler = route(redriveAll, api, async ({ member, log, signal }) => {
  const result = await redriveEverything(
    { sql, now: () => performance.now() },
    { by: member.id, withinMs: WITHIN_MS, signal },
  );
  log.info('everything redriven that had failed', result);
  // Changes are left to the relay.
  if (settings.PDS_PROVISIONING_ENABLED && result.redriven > 0)
    await sendDue({ ...queue, sql, now: () => new Date(), log, metrics });
  metrics.flush();
  return result;
});
