import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { revokeAppPassword as contract } from '../../lib/lifecycle/api.ts';
import { revokeAppPassword } from '../../lib/lifecycle/app-passwords/revoke.ts';
import { providersFrom } from '../../lib/pds/provider.ts';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi([...VAULT_SETTINGS, ...PROVIDER_SETTINGS]);
const vault = await openVault(settings, sql);
const providers = providersFrom(settings);
const deps = { sql, vault, providers, fetch: globalThis.fetch, now: () => new Date() };

export const handler = route(contract, api, async ({ member, params }) => ({
  name: await revokeAppPassword(deps, { userId: member.id, name: params.name }),
  revoked: true as const,
}));
