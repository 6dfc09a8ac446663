import { AppError } from '../../../lib/app-error.ts';
import { readAtMost } from '../../../lib/pds/read-at-most.ts';
import { type PublishedKeys, readKeys } from './verify-identity.ts';

export type Online = { fetch: typeof globalThis.fetch; plcUrl: string };

const TIMEOUT_MS = 15_000;
/** Far more than any document, or log of a did:plc. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** The keys that a DID publishes now. Throws `DID_NOT_READ` when nobody answers for it. */
export async function readLiveKeys({ fetch, plcUrl }: Online, did: string): Promise<PublishedKeys> {
  const [, host] = /^did:web:([^:]+)$/.exec(did) ?? [];
  const url =
    host === undefined
      ? `${plcUrl}/${did}/log/audit`
      : `https://${decodeURIComponent(host)}/.well-known/did.json`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const text = await readAtMost(response, LONGEST_ANSWER);
    if (text === undefined) throw new Error('it answers without end');
    return readKeys(did, JSON.parse(text), url);
  } catch (cause) {
    const { message } = cause as Error;
    throw new AppError('DID_NOT_READ', `What ${did} publishes now cannot be read at ${url}: ${message}.`, {
      cause,
    });
  }
}
