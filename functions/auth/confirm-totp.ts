import { confirmTotp as contract } from '../../lib/auth/api.ts';
import { confirmTotp } from '../../lib/auth/second-factor/confirm.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(VAULT_SETTINGS);
const vault = await openVault(settings, sql);

export const handler = route(contract, api, async ({ member, body }) => ({
  recovery_codes: await confirmTotp({ sql, vault, now: new Date() }, member, body.code),
}));
