import { createHash, createHmac, randomBytes } from 'node:crypto';

/** What a backend sends; `body` as it goes over the wire. */
export type BackendRequest = { method: string; path: string; body: string | Uint8Array };

/**
 * The headers with which a backend of one's own signs a request with one of INTERNAL_API_KEYS: see README, "A backend of
 * your own".
 */
export function signBackendRequest(
  key: string,
  { method, path, body }: BackendRequest,
  { now = new Date(), nonce = randomBytes(16).toString('hex') }: { now?: Date; nonce?: string } = {},
): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const digest = createHash('sha256').update(body).digest('hex');
  const signed = `v1\n${method}\n${path}\n${timestamp}\n${nonce}\n${digest}`;
  return {
    'x-pds-timestamp': timestamp,
    'x-pds-nonce': nonce,
    'x-pds-signature': createHmac('sha256', key).update(signed).digest('hex'),
  };
}
