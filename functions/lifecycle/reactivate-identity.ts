import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { reactivateIdentity } from '../../lib/lifecycle/api.ts';
import { askForChange } from '../../lib/lifecycle/changes/ask.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL']);
const queue = openQueue(sql, settings.CHANGES_QUEUE_URL);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const deps = { sql, now: () => new Date() };

export const handler = route(reactivateIdentity, api, async ({ stepUp, log }) => {
  const { changeId, queued } = await askForChange(deps, stepUp, {
    kind: 'come_back',
    of: ['revoked', 'active'],
  });
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return { change_id: changeId };
});
