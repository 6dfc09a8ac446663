import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { createBackup } from '../../lib/lifecycle/api.ts';
import { backUpCredentials } from '../../lib/lifecycle/custody/backup.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(VAULT_SETTINGS, {
  connections: 2, // the vault's beside the transaction's
});
const vault = await openVault(settings, sql);

export const handler = route(createBackup, api, async ({ member }) => {
  const backup = await sql.begin((tx) => backUpCredentials({ tx, vault }, member.id, 'manual'));
  return {
    backup_id: backup.id,
    created_at: backup.created_at.toISOString(),
    expires_at: backup.expires_at.toISOString(),
  };
});
