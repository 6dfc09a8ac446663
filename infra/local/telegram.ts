import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Who logs in at the stand-in for Telegram. `id` is a Telegram user id. */
export type TelegramUser = {
  id: number;
  first_name?: string;
  last_name?: string;
  username?: string;
  photo_url?: string;
};

/** What Telegram's login widget hands to the page: the user, when he logged in (Unix seconds), and the signature. */
export type WidgetPayload = TelegramUser & { auth_date: number; hash: string };

/**
 * Signs as Telegram's login widget does: HMAC-SHA256 over the sorted `key=value` lines with SHA-256(bot token) as key.
 * @see https://core.telegram.org/widgets/login#checking-authorization
 */
export function signWidgetPayload(
  botToken: string,
  user: TelegramUser,
  now: Date = new Date(),
): WidgetPayload {
  const payload = { ...user, auth_date: Math.floor(now.getTime() / 1000) };
  const lines = Object.entries(payload)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const key = createHash('sha256').update(botToken).digest();
  return { ...payload, hash: createHmac('sha256', key).update(lines.join('\n')).digest('hex') };
}

/** Who administrates the local platform: no demo member has this Telegram id, whatever his name. */
export const ADMIN_TELEGRAM_ID = 8_999_999_999_999;
/** Demo members' ids begin here, above every id that Telegram has given out. */
const FIRST_DEMO_ID = 9_000_000_000_000;

/**
 * A Telegram id for a demo member, always the same for one name. Only `alice` has a low one: 123456789, the
 * member of the specification's curl lines.
 */
export function demoTelegramId(name: string): number {
  if (name.toLowerCase() === 'alice') return 123456789;
  return FIRST_DEMO_ID + createHash('sha256').update(name.toLowerCase()).digest().readUIntBE(0, 5);
}

/**
 * Stands in for Telegram's login dialog on the local platform: POST {first_name, username} to
 * `/_local/telegram/login` answers with a payload that is signed with the local bot token.
 * The page itself is static (infra/local/page/telegram.html). Lives only here, in no deployment.
 */
export function telegramDialog({ botToken }: { botToken: string }) {
  return async (request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean> => {
    if (path !== '/_local/telegram/login' || request.method !== 'POST') return false;
    if (request.headers['sec-fetch-site'] && request.headers['sec-fetch-site'] !== 'same-origin') {
      response.writeHead(403).end();
      return true;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const username = form.get('username')?.trim() || undefined;
    const firstName = form.get('first_name')?.trim() || 'Somebody';
    const id = demoTelegramId(username ?? firstName);
    const payload = signWidgetPayload(botToken, { id, first_name: firstName, username });
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(payload));
    return true;
  };
}
