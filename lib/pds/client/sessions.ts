import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import { callXrpc, type PdsConnection } from '../xrpc.ts';

/** A session at a PDS: the access token lives two hours, the refresh token ninety days. Both are secret. */
export type PdsSession = { accessJwt: string; refreshJwt: string };

const token = z.string().check(z.minLength(1), z.maxLength(4096));
/** What the PDS answers with that opens one, and whose it is. */
export const sessionAnswer = z.object({ did: z.string(), accessJwt: token, refreshJwt: token });

/**
 * com.atproto.server.createSession; works while the account is deactivated. `identifier`: the DID, never a handle.
 * Whose session it is, says the PDS.
 */
export async function createSession(
  pds: PdsConnection,
  { did, password }: { did: Did; password: string },
): Promise<PdsSession & { did: string }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.server.createSession',
    input: { identifier: did, password },
    answer: sessionAnswer,
  });
}

/**
 * com.atproto.server.refreshSession: a used refresh token goes on working for two hours, with the same successor.
 * Whose session it is, says the PDS.
 */
export async function refreshSession(
  pds: PdsConnection,
  refreshJwt: string,
): Promise<PdsSession & { did: string }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.server.refreshSession',
    input: null,
    authorization: `Bearer ${refreshJwt}`,
    answer: sessionAnswer,
  });
}

/** com.atproto.server.deleteSession: ends the session that the refresh token is of. */
export async function deleteSession(pds: PdsConnection, refreshJwt: string): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.server.deleteSession',
    input: null,
    authorization: `Bearer ${refreshJwt}`,
  });
}
