import type { Did } from '../../brands.ts';
import { createSession, type PdsSession, refreshSession } from '../client.ts';
import type { PdsConnection } from '../xrpc.ts';
import { XrpcError } from '../xrpc-error.ts';

/** An answer that is about to expire is no better than none. */
const LEAST_LIFE_S = 60;

/**
 * The member's next session, by his refresh token. A used token goes on working for two hours and yields the same
 * successor (facts of the PDS), so a check that broke off before it stored the answer is simply repeated.
 * Throws XrpcError, also for a session that is not proven to be his.
 */
export async function renewSession(
  pds: PdsConnection,
  { did, refreshJwt }: { did: Did; refreshJwt: string },
): Promise<PdsSession> {
  return prove(pds, did, 'refreshSession', await refreshSession(pds, refreshJwt));
}

/** A new session of the member, by his password. Throws XrpcError, also for a session that is not proven to be his. */
export async function openSession(
  pds: PdsConnection,
  credentials: { did: Did; password: string },
): Promise<PdsSession> {
  return prove(pds, credentials.did, 'createSession', await createSession(pds, credentials));
}

/**
 * Nothing takes the place of a stored session that is another account's or has expired, whatever the PDS says. Tokens
 * are opaque to clients; those that are JWTs, as all known PDSs write them, must say the same as the answer around them.
 */
function prove(
  { now }: PdsConnection,
  did: Did,
  method: string,
  { did: owner, accessJwt, refreshJwt }: PdsSession & { did: string },
): PdsSession {
  const soon = now().getTime() / 1000 + LEAST_LIFE_S;
  const isHis = ({ sub = did, exp = soon }: Claims) => sub === did && exp >= soon;
  if (owner === did && [accessJwt, refreshJwt].map(claimsOf).every(isHis)) return { accessJwt, refreshJwt };
  const nsid = `com.atproto.server.${method}`;
  throw new XrpcError({
    nsid,
    fault: 'malformed',
    detail: 'a session of another account, or an expired one',
  });
}

type Claims = { sub?: string; exp?: number };

function claimsOf(jwt: string): Claims {
  try {
    const { sub, exp } = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return { ...(sub !== undefined && { sub }), ...(exp !== undefined && { exp }) };
  } catch {
    return {};
  }
}
