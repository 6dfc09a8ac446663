import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { setRecoveryKey as contract } from '../../lib/lifecycle/api.ts';
import { NOTICES } from '../../lib/lifecycle/changes/notice.ts';
import { setRecoveryKey } from '../../lib/lifecycle/recovery-key/set.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(
  [...VAULT_SETTINGS, 'PDS_PLC_URL', 'PDS_TIMES'],
  { connections: 2 }, // the vault's beside the transaction's
);
const vault = await openVault(settings, sql);
const directory = { fetch: globalThis.fetch, plcUrl: settings.PDS_PLC_URL };
const notice = NOTICES[settings.PDS_TIMES];
const deps = { sql, vault, directory, notice, now: () => new Date() };

export const handler = route(contract, api, ({ body: { public_key: publicKey, ...proof }, stepUp }) =>
  setRecoveryKey(deps, { publicKey, ...proof, stepUp }),
);
