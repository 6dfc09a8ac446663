import type { Did } from '../../brands.ts';
import { checkAccountStatus, getRepoStatus } from '../../pds/client/accounts.ts';
import { createSession, type PdsSession } from '../../pds/client/sessions.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';
import { isRejection } from '../../pds/xrpc-error.ts';

/** What is found at a provider that may have an account of a member who lives elsewhere. */
export type Found =
  | { kind: 'absent' }
  /** Our password does not open it. */
  | { kind: 'foreign' }
  /** The DID document names this PDS and this account's key: it is the one that counts, whatever our tables say. */
  | { kind: 'in_use' }
  | { kind: 'ours'; session: PdsSession; activated: boolean };

/**
 * Looks, as anybody and then as the account's owner, whether there is an account with this DID, and whether it is ours:
 * the password was random and is known to nobody but us and this PDS, so what it opens, we have made. Changes nothing.
 * Throws XrpcError when the PDS does not say.
 */
export async function lookForOrphan(
  pds: PdsConnection,
  { did, password }: { did: Did; password: string },
): Promise<Found> {
  try {
    await getRepoStatus(pds, did);
  } catch (error) {
    if (isRejection(error, 'RepoNotFound')) return { kind: 'absent' };
    throw error;
  }
  const session = await openSession(pds, { did, password });
  if (session === undefined) return { kind: 'foreign' };
  const { activated, validDid } = await statusOf(pds, session);
  return validDid ? { kind: 'in_use' } : { kind: 'ours', session, activated };
}

async function openSession(pds: PdsConnection, credentials: { did: Did; password: string }) {
  try {
    const session = await createSession(pds, credentials);
    return session.did === credentials.did ? session : undefined;
  } catch (error) {
    if (isRejection(error, 'AuthenticationRequired', 'AccountTakedown')) return undefined;
    throw error;
  }
}

/** An account without a repo, as a creation that broke off may leave it, has no status. */
async function statusOf(pds: PdsConnection, { accessJwt }: PdsSession) {
  try {
    return await checkAccountStatus(pds, accessJwt);
  } catch (error) {
    if (isRejection(error, 'NotFound')) return { activated: false, validDid: false };
    throw error;
  }
}
