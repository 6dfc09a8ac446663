import * as z from 'zod/mini';
import { callXrpc, type PdsConnection } from '../xrpc.ts';

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
