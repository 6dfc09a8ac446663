import type { SettingName, Settings } from '../../config.ts';
import { openIssuer } from './issuer.ts';

export const OIDC_SETTINGS = [
  'TELEGRAM_OIDC_ISSUER',
  'TELEGRAM_OIDC_CLIENT_ID',
] as const satisfies readonly SettingName[];

/** For one question; a login asks three of them. */
const TIMEOUT_MS = 5_000;

/** Telegram's OpenID Connect, as the settings name it; undefined where no client is registered there. */
export function openTelegramIssuer(settings: Settings<(typeof OIDC_SETTINGS)[number] | 'PDS_APP_ORIGIN'>) {
  const { TELEGRAM_OIDC_ISSUER: issuer, TELEGRAM_OIDC_CLIENT_ID: clientId, PDS_APP_ORIGIN } = settings;
  if (clientId === undefined) return undefined;
  const redirectUri = `${PDS_APP_ORIGIN}/api/auth/telegram/callback`;
  return openIssuer({ issuer, clientId, redirectUri, fetch, now: () => new Date(), timeoutMs: TIMEOUT_MS });
}
