import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import * as z from 'zod/mini';
import { apiError } from '../../http/error-codes.ts';
import { type Language, languageOf } from '../language.ts';
import type { LoginProfile } from './log-in.ts';
import { storableText } from './storable-text.ts';

type Trust = {
  botToken: string;
  /** Telegram's Ed25519 key, 32 bytes in hex. */
  publicKey: string;
  now: Date;
};

/** How long after Telegram has signed it init data is good, and how far Telegram's clock may be ahead; seconds. */
const FRESH = 60 * 60;
const CLOCK_SKEW = 30;

const miniAppUser = z.object({
  id: z.int().check(z.positive()),
  is_bot: z.optional(z.literal(false)),
  first_name: z.optional(storableText(255)),
  last_name: z.optional(storableText(255)),
  username: z.optional(storableText(255)),
  photo_url: z.optional(storableText(2048)),
  language_code: z.optional(z.string()),
  allows_write_to_pm: z.optional(z.boolean()),
});

/** `botLanguage`: the language in which the bot may write to him of its own accord; absent where he has not allowed it. */
export type MiniAppUser = { profile: LoginProfile; botLanguage: Language | undefined };

/**
 * Who opened the Mini App, after it is sure that Telegram signed this init data for our bot within the last hour.
 * The HMAC must hold where there is one; the Ed25519 signature counts only where there is none.
 * Throws, all 401: `LOGIN_SIGNATURE_INVALID` before anything is believed, and for a user who is none or a bot;
 * `LOGIN_EXPIRED`; `LOGIN_FROM_THE_FUTURE`. Using it twice is fine: a reload of the page sends the same again.
 * https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
 */
export function verifyInitData({ botToken, publicKey, now }: Trust, initData: string): MiniAppUser {
  const pairs = [...new URLSearchParams(initData)];
  const fields = new Map(pairs);
  const genuine = fields.has('hash')
    ? holdsHmac(botToken, fields)
    : holdsEd25519(botToken, publicKey, fields);
  // Of two fields with one name, and of a value with a line break in it, it is anybody's guess what was signed.
  const isAmbiguous = fields.size !== pairs.length || pairs.some((pair) => pair.join('=').includes('\n'));
  if (isAmbiguous || !genuine) throw apiError('LOGIN_SIGNATURE_INVALID');
  const authDate = fields.get('auth_date') ?? '';
  const user = miniAppUser.safeParse(parseJson(fields.get('user') ?? ''));
  if (!/^\d{1,12}$/.test(authDate) || !user.success) throw apiError('LOGIN_SIGNATURE_INVALID');
  const age = now.getTime() / 1000 - Number(authDate);
  if (age > FRESH) throw apiError('LOGIN_EXPIRED');
  if (age < -CLOCK_SKEW) throw apiError('LOGIN_FROM_THE_FUTURE');
  const { is_bot: _, allows_write_to_pm: writable, language_code: tag, ...profile } = user.data;
  return { profile, botLanguage: writable ? languageOf(tag) : undefined };
}

/** The HMAC covers `signature` too. */
function holdsHmac(botToken: string, fields: Map<string, string>): boolean {
  const key = createHmac('sha256', 'WebAppData').update(botToken).digest();
  const expected = createHmac('sha256', key)
    .update(checkString(fields, ['hash']))
    .digest();
  const hash = fields.get('hash') ?? '';
  return /^[0-9a-f]{64}$/.test(hash) && timingSafeEqual(Buffer.from(hash, 'hex'), expected);
}

function holdsEd25519(botToken: string, publicKey: string, fields: Map<string, string>): boolean {
  const signed = `${botToken.split(':')[0]}:WebAppData\n${checkString(fields, ['hash', 'signature'])}`;
  const x = Buffer.from(publicKey, 'hex').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, Buffer.from(signed), key, Buffer.from(fields.get('signature') ?? '', 'base64url'));
}

function checkString(fields: Map<string, string>, without: string[]): string {
  const covered = [...fields].filter(([name]) => !without.includes(name));
  return covered
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
