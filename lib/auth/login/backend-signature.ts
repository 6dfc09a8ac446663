import { createHash, createHmac } from 'node:crypto';
import type { Secrets } from '../../config.ts';
import { bodyBytes } from '../../http/body.ts';
import { apiError } from '../../http/error-codes.ts';
import type { ApiEvent } from '../../http/event.ts';
import { equalInConstantTime } from '../../http/host.ts';
import type { Admit } from '../../http/request.ts';

/** How long after it was signed a request is good, and how far the backend's clock may be ahead; seconds. */
const FRESH = 5 * 60;
const CLOCK_SKEW = 30;

/**
 * Admits requests that a backend has signed just now with one of our keys: `x-pds-signature` is HMAC-SHA256, in hex,
 * over the lines `v1`, method, path, `x-pds-timestamp`, `x-pds-nonce` and the SHA-256 of the body's bytes. Returns the
 * nonce, for the handler to use up. Throws `LOGIN_METHOD_OFF` (404) where there is no key; `SIGNATURE_INVALID` (401)
 * before anything in the request is believed; then `SIGNATURE_EXPIRED` (401).
 */
export function admitBackend({ keys, now }: { keys: Secrets | undefined; now: () => Date }): Admit {
  return async (event) => {
    if (keys === undefined) throw apiError('LOGIN_METHOD_OFF');
    const {
      'x-pds-timestamp': timestamp = '',
      'x-pds-nonce': nonce = '',
      'x-pds-signature': signature = '',
    } = event.headers;
    const wellFormed = /^\d{1,12}$/.test(timestamp) && /^[\w-]{16,64}$/.test(nonce);
    const signed = signedLines(event, timestamp, nonce);
    const matches = keys.map((key) => equalInConstantTime(signature, hmac(key, signed)));
    if (!wellFormed || !matches.includes(true)) throw apiError('SIGNATURE_INVALID');
    const age = now().getTime() / 1000 - Number(timestamp);
    if (age > FRESH || age < -CLOCK_SKEW) throw apiError('SIGNATURE_EXPIRED');
    return `backend:${nonce}`;
  };
}

function signedLines(event: ApiEvent, timestamp: string, nonce: string): string {
  const digest = createHash('sha256').update(bodyBytes(event)).digest('hex');
  return ['v1', event.requestContext.http.method, event.rawPath, timestamp, nonce, digest].join('\n');
}

function hmac(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
