import { base32 } from 'multiformats/bases/base32';
import { AppError } from '../app-error.ts';
import type { Did, Handle } from '../brands.ts';
import { normalizeHost } from './host.ts';
import type { RandomBytes } from './keys.ts';

const DID_WEB = 'did:web:';
const LONGEST_DID = 255; // what the schema keeps

/**
 * Chooses a DID for a new member: `did:web:<name>-<6 random base32>.<domain>`, name = the handle's first label.
 * The 30 random bits keep DIDs of members who get the same name after one another apart; they are no secret.
 * The label has at most 25 characters. Throws `DOMAIN_TOO_LONG` when the whole does not fit 255.
 * https://w3c-ccg.github.io/did-method-web/
 */
export function newDid({
  handle,
  domain,
  randomBytes,
}: {
  handle: Handle;
  domain: string;
  randomBytes: RandomBytes;
}): Did {
  const name = handle.slice(0, handle.indexOf('.'));
  const tail = base32.baseEncode(randomBytes(4)).slice(0, 6);
  const did = `${DID_WEB}${name}-${tail}.${domain.toLowerCase()}`;
  if (did.length > LONGEST_DID) {
    throw new AppError('DOMAIN_TOO_LONG', `PDS_DOMAIN is too long: ${did.length} characters in a DID.`);
  }
  return did as Did;
}

/** Whether atproto would resolve this as did:web: a domain name, no path, no port. */
export function isDidWeb(did: string): did is Did {
  return did.startsWith(DID_WEB) && normalizeHost(did.slice(DID_WEB.length)) === did.slice(DID_WEB.length);
}

/** The host that must serve the document of a did:web. Throws `DID_INVALID` for any other DID. */
export function didHost(did: string): string {
  if (!isDidWeb(did)) throw new AppError('DID_INVALID', 'The DID is not a did:web of a domain name.');
  return did.slice(DID_WEB.length);
}
