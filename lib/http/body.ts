import { apiError } from './error-codes.ts';
import type { ApiEvent } from './event.ts';

/** Far above any body that most routes take, far below anything that costs us time. */
const MAX_BYTES = 16 * 1024;
const JSON_UTF8 = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

/**
 * The JSON value of a request's body; undefined when there is no body. Throws `CONTENT_TYPE_UNSUPPORTED` (415) and
 * `BODY_INVALID` (400) for one that is too long, not UTF-8 or not JSON (RFC 8259).
 */
export function readBody(event: ApiEvent, maxBytes: number = MAX_BYTES): unknown {
  if (!event.body) return undefined;
  if (!JSON_UTF8.test(event.headers['content-type'] ?? '')) throw apiError('CONTENT_TYPE_UNSUPPORTED');
  const bytes = bodyBytes(event);
  // A lone surrogate is no Unicode text: writing it as UTF-8 would quietly make another character of it.
  const wellFormed = event.isBase64Encoded || event.body.isWellFormed();
  if (bytes.length > maxBytes || !wellFormed) throw apiError('BODY_INVALID', { fields: ['body'] });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw apiError('BODY_INVALID', { fields: ['body'] });
  }
}

/** A request's body as it was sent. */
export function bodyBytes({ body = '', isBase64Encoded }: ApiEvent): Buffer {
  return Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
}

/** For a route that takes no body: none, or the `{}` that some clients always send. Else `BODY_UNEXPECTED` (400). */
export function refuseBody(body: unknown): void {
  const isEmpty =
    body === undefined ||
    (typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0);
  if (!isEmpty) throw apiError('BODY_UNEXPECTED', { fields: ['body'] });
}
