import type { Did } from '../brands.ts';
import type { PdsSession } from './client/sessions.ts';
import type { PdsConnection } from './xrpc.ts';
import { XrpcError } from './xrpc-error.ts';

/** An answer that is about to expire is no better than none. */
const LEAST_LIFE_S = 60;

/**
 * Nothing takes the place of a stored session that is another account's or has expired, whatever the PDS says. Tokens
 * are opaque to clients; those that are JWTs, as all known PDSs write them, must say the same as the answer around them.
 */
export function proveSession(
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
