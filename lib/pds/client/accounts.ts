import * as z from 'zod/mini';
import type { Did, Handle } from '../../brands.ts';
import { proveSession } from '../prove-session.ts';
import { callXrpc, type PdsConnection } from '../xrpc.ts';
import { type PdsSession, sessionAnswer } from './sessions.ts';

/**
 * com.atproto.server.createAccount for a DID that we bring; the account is born deactivated.
 * Ask only once at a time for a DID: two that overlap destroy each other's account. An answer about another one is
 * no answer.
 */
export async function createAccount(
  pds: PdsConnection,
  {
    serviceJwt,
    ...input
  }: {
    did: Did;
    handle: Handle;
    email: string;
    password: string;
    inviteCode?: string | undefined;
    serviceJwt: string;
  },
): Promise<PdsSession> {
  const created = await callXrpc(pds, {
    nsid: 'com.atproto.server.createAccount',
    input,
    authorization: `Bearer ${serviceJwt}`,
    answer: sessionAnswer,
  });
  return proveSession(pds, input.did, 'createAccount', created);
}

/**
 * com.atproto.server.createAccount for a did:plc, which the PDS makes: its first rotation key is `recoveryKey` (a
 * did:key), its handle lies in the PDS's own domain, and the account is active at once. Of two that overlap one wins;
 * the DID of the other is burnt.
 */
export async function createPlcAccount(
  pds: PdsConnection,
  input: {
    handle: Handle;
    email: string;
    password: string;
    inviteCode?: string | undefined;
    recoveryKey: string;
  },
): Promise<PdsSession & { did: Did }> {
  const created = await callXrpc(pds, {
    nsid: 'com.atproto.server.createAccount',
    input,
    answer: sessionAnswer,
  });
  const did = created.did as Did;
  return { did, ...proveSession(pds, did, 'createAccount', created) };
}

/** com.atproto.server.checkAccountStatus: `validDid` means that the live DID document names this PDS and its key. */
export async function checkAccountStatus(
  pds: PdsConnection,
  accessJwt: string,
): Promise<{ activated: boolean; validDid: boolean }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.server.checkAccountStatus',
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({ activated: z.boolean(), validDid: z.boolean() }),
  });
}

/** com.atproto.server.activateAccount; may be repeated. */
export async function activateAccount(pds: PdsConnection, accessJwt: string): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.server.activateAccount',
    input: null,
    authorization: `Bearer ${accessJwt}`,
  });
}

/** com.atproto.server.deactivateAccount; may be repeated. `deleteAfter`: from when on the PDS need not keep it. */
export async function deactivateAccount(
  pds: PdsConnection,
  accessJwt: string,
  { deleteAfter }: { deleteAfter?: Date } = {},
): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.server.deactivateAccount',
    input: deleteAfter ? { deleteAfter: deleteAfter.toISOString() } : {},
    authorization: `Bearer ${accessJwt}`,
  });
}

/** com.atproto.sync.getRepoStatus: what anybody may know about an account. */
export async function getRepoStatus(
  pds: PdsConnection,
  did: Did,
): Promise<{ active: boolean; status?: string | undefined }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.sync.getRepoStatus',
    params: { did },
    answer: z.object({ active: z.boolean(), status: z.optional(z.string()) }),
  });
}
