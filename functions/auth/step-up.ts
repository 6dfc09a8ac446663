import { stepUp as contract } from '../../lib/auth/api.ts';
import { grantStepUp } from '../../lib/auth/second-factor/grant-step-up.ts';
import { readTarget } from '../../lib/auth/second-factor/target.ts';
import { sessionCookie } from '../../lib/auth/session/session-cookie.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';

const { settings, sql, ...api } = await openApi(VAULT_SETTINGS);
const deps = { sql, vault: await openVault(settings, sql), sessionSecrets: settings.SESSION_SECRET };

export const handler = route(contract, api, async ({ member, presented, body, setCookie }) => {
  const { operation, code } = body;
  const target = readTarget(operation, body.target ?? null);
  const now = new Date();
  const wish = { member, presented, operation, target, code };
  const { token, expiresAt } = await grantStepUp({ ...deps, now }, wish);
  const inCookie = presented.as === 'cookie';
  const secondsLeft = Math.floor((member.expires_at.getTime() - now.getTime()) / 1000);
  if (inCookie) setCookie(sessionCookie(token, secondsLeft));
  return { operation, target, expires_at: expiresAt.toISOString(), token: inCookie ? null : token };
});
