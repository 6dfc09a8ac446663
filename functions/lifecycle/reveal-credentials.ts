import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { revealCredentials } from '../../lib/lifecycle/api.ts';
import { revealCredential } from '../../lib/lifecycle/custody/reveal.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(VAULT_SETTINGS);
const deps = { sql, vault: await openVault(settings, sql) };

export const handler = route(revealCredentials, api, ({ stepUp, body }) =>
  revealCredential(deps, stepUp, body.credential),
);
