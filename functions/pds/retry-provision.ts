import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { retryProvision } from '../../lib/pds/api.ts';
import { requestProvisioning } from '../../lib/pds/request-provisioning.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);

export const handler = route(retryProvision, api, async ({ member, log }) => {
  const request = { userId: member.id, requestedBy: member.id };
  const { identity, queued } = await requestProvisioning({ sql, provisioningEnabled }, request);
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  const { pnptv_uuid, pds_handle, pds_did, status } = identity;
  return { pnptv_uuid, pds_handle, pds_did, status };
});
