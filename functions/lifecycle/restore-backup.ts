import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { restoreBackup as contract } from '../../lib/lifecycle/api.ts';
import { restoreBackup } from '../../lib/lifecycle/custody/restore.ts';
import { providersFrom } from '../../lib/pds/provider.ts';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(
  [
    ...VAULT_SETTINGS,
    ...PROVIDER_SETTINGS,
    'PDS_KEY_GRACE_DAYS',
    'PDS_PROVISIONING_ENABLED',
    'PROVISIONING_QUEUE_URL',
  ],
  { connections: 2 }, // the vault's beside the transaction's
);
const vault = await openVault(settings, sql);
const providers = providersFrom(settings);
const graceDays = settings.PDS_KEY_GRACE_DAYS;
const deps = { sql, vault, providers, fetch: globalThis.fetch, now: () => new Date(), graceDays };
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;

export const handler = route(contract, api, async ({ member, params, stepUp, log, signal }) => {
  const wish = { userId: member.id, backupId: Number(params.id), stepUp };
  const { restoredAt, recoveryBackupId, queued } = await restoreBackup({ ...deps, signal }, wish);
  await wakeWorker({ ...queue, provisioningEnabled, log }, queued);
  return {
    backup_id: wish.backupId,
    restored_at: restoredAt.toISOString(),
    recovery_backup_id: recoveryBackupId,
  };
});
