import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { requestExport as contract } from '../../lib/lifecycle/api.ts';
import { requestExport } from '../../lib/lifecycle/export/request.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi([
  ...VAULT_SETTINGS,
  'PDS_PROVISIONING_ENABLED',
  'CHANGES_QUEUE_URL',
]);
const deps = { sql, vault: await openVault(settings, sql), now: () => new Date() };
const queue = openQueue(sql, settings.CHANGES_QUEUE_URL);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;

export const handler = route(contract, api, async ({ stepUp, body, log }) => {
  const { exportId, keysCode, createdAt, queued } = await requestExport(deps, stepUp, body.contents);
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return {
    export_id: exportId,
    contents: body.contents,
    keys_code: keysCode,
    created_at: createdAt.toISOString(),
  };
});
