import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { moveIdentity } from '../../lib/lifecycle/api.ts';
import { requestMove } from '../../lib/lifecycle/move/request.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const queue = openQueue(sql, settings.CHANGES_QUEUE_URL);
const deps = { sql, now: () => new Date() };

export const handler = route(moveIdentity, api, async ({ body, stepUp, log }) => {
  const { changeId, queued } = await requestMove(deps, { provider: body.provider, stepUp });
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return { change_id: changeId };
});
