import { randomBytes } from 'node:crypto';
import { openIssuer } from './issuer.ts';

/** An issuer on this machine that knows one client, the app, as BotFather would have registered it. */
export async function registerLocalClient({ origin, botToken }: { origin: string; botToken: string }) {
  const [clientId = ''] = botToken.split(':');
  const clientSecret = randomBytes(32).toString('base64url');
  const redirectUri = `${origin}/api/auth/telegram/callback`;
  const { url, route } = await openIssuer({ origin, clientId, clientSecret, redirectUri });
  return {
    route,
    settings: { TELEGRAM_OIDC_ISSUER: url, TELEGRAM_OIDC_CLIENT_ID: clientId },
    secrets: { TELEGRAM_OIDC_CLIENT_SECRET: clientSecret },
  };
}
