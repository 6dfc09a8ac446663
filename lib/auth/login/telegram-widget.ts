import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type * as z from 'zod/mini';
import { apiError } from '../../http/error-codes.ts';
import type { widgetPayload } from '../api.ts';

export type WidgetPayload = z.output<typeof widgetPayload>;

/** How long after Telegram has signed it a login is good, and how far Telegram's clock may be ahead; seconds. */
const FRESH = 5 * 60;
const CLOCK_SKEW = 30;

/**
 * Verifies that Telegram has signed this payload for our bot, and that it did so just now.
 * Throws, all 401: `LOGIN_SIGNATURE_INVALID` before anything in the payload is believed, then `LOGIN_EXPIRED` or
 * `LOGIN_FROM_THE_FUTURE`. That a signature is used once only is for the caller to see to.
 * https://core.telegram.org/widgets/login#checking-authorization
 */
export function verifyWidgetPayload(
  { botToken, now }: { botToken: string; now: Date },
  payload: WidgetPayload,
): void {
  const { hash, ...fields } = payload;
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  const checkString = lines.sort().join('\n');
  const key = createHash('sha256').update(botToken).digest();
  const expected = createHmac('sha256', key).update(checkString).digest();
  const given = Buffer.from(hash, 'hex');
  // A value with a line break in it could be another field, and another member's id.
  const isAmbiguous = lines.some((line) => line.includes('\n'));
  if (isAmbiguous || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw apiError('LOGIN_SIGNATURE_INVALID');
  }
  const age = now.getTime() / 1000 - payload.auth_date;
  if (age > FRESH) throw apiError('LOGIN_EXPIRED');
  if (age < -CLOCK_SKEW) throw apiError('LOGIN_FROM_THE_FUTURE');
}
