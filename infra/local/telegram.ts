import { createHash, createHmac, type KeyObject, sign } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { readBody } from './aws/http-server.ts';
import { answerJson } from './http-api/answer-json.ts';
import type { LocalRoute } from './http-api/gateway.ts';

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

/**
 * Signs as Telegram does what a Mini App gets as its init data: by HMAC-SHA256 under a key made of the bot token and,
 * when there is a `key`, by Ed25519 too.
 * @see https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
 */
export function signInitData(
  { botToken, key }: { botToken: string; key?: KeyObject },
  user: TelegramUser,
  now: Date = new Date(),
): string {
  const fields = new URLSearchParams({
    auth_date: String(Math.floor(now.getTime() / 1000)),
    query_id: 'AAHdF6IQAAAAAN0XohDhrOrc',
    user: JSON.stringify(user),
  });
  const lines = () => {
    fields.sort();
    return [...fields].map(([name, value]) => `${name}=${value}`).join('\n');
  };
  if (key) {
    const signed = `${botToken.split(':')[0]}:WebAppData\n${lines()}`;
    fields.set('signature', sign(null, Buffer.from(signed), key).toString('base64url'));
  }
  const secret = createHmac('sha256', 'WebAppData').update(botToken).digest();
  fields.set('hash', createHmac('sha256', secret).update(lines()).digest('hex'));
  return String(fields);
}

/** Who administrates the local platform: no demo member has this Telegram id, whatever his name. */
export const ADMIN_TELEGRAM_ID = 8_999_999_999_999;
const LONGEST_FORM = 10_000;
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

/** Whom the form of the login dialog (infra/local/page/telegram.html) names. */
export function demoUser(form: URLSearchParams): TelegramUser {
  const username = form.get('username')?.trim() || undefined;
  const firstName = form.get('first_name')?.trim() || 'Somebody';
  return { id: demoTelegramId(username ?? firstName), first_name: firstName, username };
}

/** The form that a page of ours has sent; undefined when it is another's page, or the form is absurdly long. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const site = request.headers['sec-fetch-site'];
  if (site && site !== 'same-origin') return undefined;
  const body = await readBody(request, LONGEST_FORM, () => new Error('too long')).catch(() => undefined);
  return body && new URLSearchParams(body.toString());
}

/**
 * Stands in for Telegram's login dialog on the local platform: POST {first_name, username} to
 * `/_local/telegram/login` answers with a payload that is signed with the local bot token.
 * The page itself is static (infra/local/page/telegram.html). Lives only here, in no deployment.
 */
export function telegramDialog({ botToken }: { botToken: string }): LocalRoute {
  return async (request, response, path) => {
    if (path !== '/_local/telegram/login' || request.method !== 'POST') return false;
    const form = await readForm(request);
    if (form === undefined) {
      response.writeHead(403).end();
      return true;
    }
    const payload = signWidgetPayload(botToken, demoUser(form));
    answerJson(response, 200, payload);
    return true;
  };
}
