import type { Did } from '../../brands.ts';
import { createSession, type PdsSession, refreshSession } from '../client/sessions.ts';
import { proveSession } from '../prove-session.ts';
import type { PdsConnection } from '../xrpc.ts';

/**
 * The member's next session, by his refresh token. A used token goes on working for two hours and yields the same
 * successor (facts of the PDS), so a check that broke off before it stored the answer is simply repeated.
 * Throws XrpcError, also for a session that is not proven to be his.
 */
export async function renewSession(
  pds: PdsConnection,
  { did, refreshJwt }: { did: Did; refreshJwt: string },
): Promise<PdsSession> {
  return proveSession(pds, did, 'refreshSession', await refreshSession(pds, refreshJwt));
}

/** A new session of the member, by his password. Throws XrpcError, also for a session that is not proven to be his. */
export async function openSession(
  pds: PdsConnection,
  credentials: { did: Did; password: string },
): Promise<PdsSession> {
  return proveSession(pds, credentials.did, 'createSession', await createSession(pds, credentials));
}
