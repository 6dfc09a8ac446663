import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { renameHandle } from '../../lib/lifecycle/api.ts';
import { askForHandle } from '../../lib/lifecycle/rename/ask.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';
import { labelsOfOperator } from '../../lib/provisioning/operator-names.ts';
import { OPERATOR_NAMES } from '../../lib/provisioning/worker-settings.ts';

const { settings, sql, ...api } = await openApi([
  ...OPERATOR_NAMES,
  'PDS_PROVISIONING_ENABLED',
  'CHANGES_QUEUE_URL',
]);
const rules = { domain: settings.PDS_DOMAIN, reserved: labelsOfOperator(settings) };
const deps = { sql, rules, now: () => new Date() };
const queue = openQueue(sql, settings.CHANGES_QUEUE_URL);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;

export const handler = route(renameHandle, api, async ({ body, stepUp, log }) => {
  const { changeId, handle, queued } = await askForHandle(deps, { wish: body.handle, stepUp });
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return { change_id: changeId, pds_handle: `@${handle}` };
});
