import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { rotateKeys as contract } from '../../lib/lifecycle/api.ts';
import { askForChange } from '../../lib/lifecycle/changes/ask.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'CHANGES_QUEUE_URL']);
const queue = openQueue(sql, settings.CHANGES_QUEUE_URL);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const deps = { sql, now: () => new Date() };

export const handler = route(contract, api, async ({ stepUp, log }) => {
  const { changeId, dueAt, queued } = await askForChange(deps, stepUp, { kind: 'rotate_keys' });
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return { change_id: changeId, due_at: dueAt.toISOString() };
});
