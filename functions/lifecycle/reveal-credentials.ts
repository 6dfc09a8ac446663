import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { revealCredentials } from '../../lib/lifecycle/api.ts';
import { revealCredential } from '../../lib/lifecycle/reveal.ts';
import { openVault } from '../../lib/vault/open-vault.ts';

const { settings, sql, ...api } = await openApi(['PDS_ENVIRONMENT', 'PDS_KMS_KEY_ID', 'PDS_ENCRYPTION_KEY']);
const deps = { sql, vault: await openVault(settings, sql) };

export const handler = route(revealCredentials, api, ({ stepUp, body }) =>
  revealCredential(deps, stepUp, body.credential),
);
