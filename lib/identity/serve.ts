import { AppError } from '../app-error.ts';
import { didDocument } from './document.ts';
import type { HostedIdentity } from './hostnames.ts';

export type WellKnown = { body: string; contentType: string; cacheControl: string };

const SETTLED = 'public, max-age=60, stale-if-error=86400';

/**
 * What `/.well-known/did.json` answers on the host of a member's DID, also for a revoked identity: without its
 * document, what the member signed could never be verified again.
 * Throws `HOST_UNKNOWN` (404, not to be cached) on every other host, a handle's included.
 */
export function serveDidJson(identity: HostedIdentity | undefined, now: Date): WellKnown {
  if (identity?.kind !== 'did') throw unknownHost();
  return {
    body: JSON.stringify(didDocument(identity)),
    contentType: 'application/json',
    cacheControl: cacheControl(identity, now),
  };
}

/** What `/.well-known/atproto-did` answers on the host of a member's handle. Throws `HOST_UNKNOWN` on every other. */
export function serveAtprotoDid(identity: HostedIdentity | undefined, now: Date): WellKnown {
  if (identity?.kind !== 'handle') throw unknownHost();
  return { body: identity.did, contentType: 'text/plain', cacheControl: cacheControl(identity, now) };
}

/**
 * Around a change nothing may be kept: a PDS that forces a refetch still reads what the edge has, and one old
 * document read at activation fails it.
 */
function cacheControl({ settlesAt }: HostedIdentity, now: Date): string {
  return settlesAt !== null && settlesAt <= now ? SETTLED : 'no-store';
}

function unknownHost(): AppError {
  return new AppError('HOST_UNKNOWN', 'No identity is served at this host name.', { status: 404 });
}
