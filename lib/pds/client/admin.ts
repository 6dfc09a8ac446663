import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import { callXrpc, type PdsConnection } from '../xrpc.ts';
import { isRejection } from '../xrpc-error.ts';

/** A PDS that gave us its admin password. */
export type PdsAdmin = PdsConnection & { readonly adminPassword: string };

/** com.atproto.admin.getAccountInfo, whatever the account's state; undefined when the PDS has no such account. */
export async function getAccountInfo(pds: PdsAdmin, did: Did): Promise<{ handle: string } | undefined> {
  try {
    const { handle } = await callXrpc(pds, {
      nsid: 'com.atproto.admin.getAccountInfo',
      params: { did },
      authorization: basic(pds),
      answer: z.object({ did: z.literal(did), handle: z.string() }),
    });
    return { handle };
  } catch (error) {
    if (isRejection(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** com.atproto.admin.updateAccountPassword: revokes refresh tokens, not access tokens and app passwords. */
export async function updateAccountPassword(
  pds: PdsAdmin,
  input: { did: Did; password: string },
): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.admin.updateAccountPassword',
    input,
    authorization: basic(pds),
  });
}

/**
 * com.atproto.admin.deleteAccount, also of the remains of an account that was never finished.
 * Deletes under a createAccount that is still running, too: only call it when none can be.
 */
export async function deleteAccount(pds: PdsAdmin, did: Did): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.admin.deleteAccount',
    input: { did },
    authorization: basic(pds),
  });
}

/** com.atproto.server.createInviteCode, good for `uses` accounts. */
export async function createInviteCode(pds: PdsAdmin, { uses }: { uses: number }): Promise<string> {
  const { code } = await callXrpc(pds, {
    nsid: 'com.atproto.server.createInviteCode',
    input: { useCount: uses },
    authorization: basic(pds),
    answer: z.object({ code: z.string() }),
  });
  return code;
}

function basic({ adminPassword }: PdsAdmin): string {
  return `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}`;
}
