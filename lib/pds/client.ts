import * as z from 'zod/mini';
import type { Did, Handle } from '../brands.ts';
import { proveSession } from './prove-session.ts';
import { callXrpc, type PdsConnection } from './xrpc.ts';
import { isRejection } from './xrpc-error.ts';

/** A session at a PDS: the access token lives two hours, the refresh token ninety days. Both are secret. */
export type PdsSession = { accessJwt: string; refreshJwt: string };

const token = z.string().check(z.minLength(1), z.maxLength(4096));
/** What a DID document may name as a PDS: https://atproto.com/specs/did#did-documents, "serviceEndpoint". */
const publicOrigin = z.string().check(
  z.refine((value) => {
    const url = URL.parse(value);
    return url !== null && /^https?:$/.test(url.protocol) && url.origin === value.replace(/\/$/, '');
  }),
);
const session = z.object({ did: z.string(), accessJwt: token, refreshJwt: token });

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
    answer: session,
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
  const created = await callXrpc(pds, { nsid: 'com.atproto.server.createAccount', input, answer: session });
  const did = created.did as Did;
  return { did, ...proveSession(pds, did, 'createAccount', created) };
}

/** com.atproto.identity.resolveHandle, of a handle in the PDS's own domain: undefined when no active account has it. */
export async function resolveHandle(pds: PdsConnection, handle: Handle): Promise<string | undefined> {
  try {
    const { did } = await callXrpc(pds, {
      nsid: 'com.atproto.identity.resolveHandle',
      params: { handle },
      answer: z.object({ did: z.string() }),
    });
    return did;
  } catch (error) {
    if (isRejection(error)) return undefined;
    throw error;
  }
}

/** com.atproto.identity.updateHandle: of a did:plc, the PDS signs the operation. May be repeated. */
export async function updateHandle(pds: PdsConnection, accessJwt: string, handle: Handle): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.identity.updateHandle',
    input: { handle },
    authorization: `Bearer ${accessJwt}`,
  });
}

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
    answer: session,
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
    answer: session,
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

export type RecommendedCredentials = {
  repoKey: string;
  endpoint: string;
  alsoKnownAs: readonly string[];
  rotationKeys: readonly string[];
};

/**
 * com.atproto.identity.getRecommendedDidCredentials: the repo key (did:key), the PDS's public URL, to the letter, the
 * handle that the PDS knows the account by, and the rotation keys (did:key) by which it signs for a did:plc.
 */
export async function getRecommendedDidCredentials(
  pds: PdsConnection,
  accessJwt: string,
): Promise<RecommendedCredentials> {
  const recommended = await callXrpc(pds, {
    nsid: 'com.atproto.identity.getRecommendedDidCredentials',
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({
      alsoKnownAs: z.optional(z.array(z.string())),
      rotationKeys: z.optional(z.array(z.string()).check(z.maxLength(10))),
      verificationMethods: z.object({ atproto: z.string() }),
      services: z.object({
        atproto_pds: z.object({ endpoint: publicOrigin }),
      }),
    }),
  });
  return {
    repoKey: recommended.verificationMethods.atproto,
    endpoint: recommended.services.atproto_pds.endpoint,
    alsoKnownAs: recommended.alsoKnownAs ?? [],
    rotationKeys: recommended.rotationKeys ?? [],
  };
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

/** com.atproto.sync.listRepos: a page of the accounts of a PDS, whoever's they are; without `cursor` it was the last. */
export async function listRepos(
  pds: PdsConnection,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ cursor?: string | undefined; repos: { did: string; active?: boolean | undefined }[] }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.sync.listRepos',
    params: { limit: String(limit), ...(cursor !== undefined && { cursor }) },
    answer: z.object({
      cursor: z.optional(z.string().check(z.maxLength(1024))),
      repos: z.array(z.object({ did: z.string(), active: z.optional(z.boolean()) })),
    }),
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

/**
 * com.atproto.server.describeServer: its DID, the domains (`.example.org`) in which it gives out handles itself, and
 * whether it takes new accounts by invitation only.
 */
export async function describeServer(pds: PdsConnection): Promise<{
  did: string;
  availableUserDomains: readonly string[];
  inviteCodeRequired?: boolean | undefined;
}> {
  return callXrpc(pds, {
    nsid: 'com.atproto.server.describeServer',
    params: {},
    answer: z.object({
      did: z.string().check(z.startsWith('did:')),
      availableUserDomains: z._default(z.array(z.string()), []),
      inviteCodeRequired: z.optional(z.boolean()),
    }),
  });
}

/** `/xrpc/_health`: the PDS's process and its account database answer. */
export async function readHealth(pds: PdsConnection): Promise<{ version?: string | undefined }> {
  return callXrpc(pds, { nsid: '_health', answer: z.object({ version: z.optional(z.string()) }) });
}
