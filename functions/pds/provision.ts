import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { provision } from '../../lib/pds/api.ts';
import { requestProvisioning } from '../../lib/pds/request-provisioning.ts';
import { waitUntilSettled } from '../../lib/pds/wait-until-settled.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);
const WAIT_MS = 25_000;

export const handler = route(provision, api, async ({ body, member, log, signal }) => {
  const begun = performance.now();
  const request = { userId: body.userId, requestedBy: member.id };
  const { queued } = await requestProvisioning({ sql, provisioningEnabled }, request);
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  const wait = { timeoutMs: WAIT_MS, signal };
  const identity = await waitUntilSettled({ sql, provisioningEnabled }, body.userId, wait);
  return { ...identity, duration_ms: Math.round(performance.now() - begun) };
});
