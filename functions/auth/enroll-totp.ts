import { enrollTotp as contract } from '../../lib/auth/api.ts';
import { enrollTotp } from '../../lib/auth/second-factor/enroll.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(VAULT_SETTINGS);
const deps = { sql, vault: await openVault(settings, sql), issuer: settings.PDS_DOMAIN };

export const handler = route(contract, api, ({ member }) => enrollTotp({ ...deps, now: new Date() }, member));
