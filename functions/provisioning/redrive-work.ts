import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';
import { redriveWork } from '../../lib/provisioning/api.ts';
import { redrive } from '../../lib/provisioning/dead-letters/redrive.ts';

const { settings, sql, ...api } = await openApi(['PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL']);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);

export const handler = route(redriveWork, api, async ({ params, member, log }) => {
  const work = await redrive({ sql }, { queueId: params.id, by: member.id });
  const queued = work.redriven ? String(work.queue_id) : undefined;
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return work;
});
