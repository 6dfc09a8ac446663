import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { openSession, renewSession } from '../../pds/probes/session.ts';
import { streamXrpc } from '../../pds/stream-xrpc.ts';
import { callXrpc, type PdsConnection } from '../../pds/xrpc.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { accountPassword } from '../../provisioning/account/adopt.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import type { AccountHost } from '../../provisioning/providers/provider-access.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { openFromMapping, sealForMapping } from '../../provisioning/secrets.ts';

/** The member's account at his PDS, as an export reads it. */
export type Source = {
  pds: PdsConnection;
  did: Did;
  /** With a session also what is not public: preferences, and the repository of an account that is not active. */
  authorization: string | undefined;
};

/**
 * Signs in for an export, by the stored session or else the stored password. Where the PDS accepts neither, or we have
 * neither, what is public can be read all the same. Throws XrpcError for a PDS that does not answer.
 */
export async function openSource(run: Run, { pds }: AccountHost): Promise<Source> {
  const { pds_did: did } = reserved(run);
  const session = (await renew(run, pds, did)) ?? (await signIn(run, pds, did));
  return { pds, did, authorization: session && `Bearer ${session.accessJwt}` };
}

async function renew(run: Run, pds: PdsConnection, did: Did): Promise<PdsSession | undefined> {
  const { vault, identity, sql } = run;
  const { pds_refresh_token: sealed, data_key_id } = identity;
  if (sealed === null || data_key_id === null) return undefined;
  const token = await openFromMapping(vault, identity, 'pds_refresh_token', sealed);
  const refreshJwt = Buffer.from(token).toString('utf8');
  const session = await unlessRefused(() => renewSession(pds, { did, refreshJwt }));
  if (!session) return undefined;
  const seal = (column: 'pds_access_token' | 'pds_refresh_token', secret: string) =>
    sealForMapping(vault, data_key_id, identity, column, secret);
  await updateIdentity(sql, identity, {
    pds_access_token: await seal('pds_access_token', session.accessJwt),
    pds_refresh_token: await seal('pds_refresh_token', session.refreshJwt),
  });
  return session;
}

async function signIn(run: Run, pds: PdsConnection, did: Did): Promise<PdsSession | undefined> {
  if (run.identity.account_password_sealed === null) return undefined;
  const password = await accountPassword(run);
  return unlessRefused(() => openSession(pds, { did, password }));
}

async function unlessRefused<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isRejection(error)) return undefined;
    throw error;
  }
}

/** com.atproto.sync.getRepo: the repository as it is now, as a CAR. */
export function streamRepository({ pds, did, authorization }: Source): AsyncGenerator<Uint8Array> {
  return streamXrpc(pds, { nsid: 'com.atproto.sync.getRepo', params: { did }, authorization });
}

/** com.atproto.sync.getBlob */
export function streamBlob({ pds, did, authorization }: Source, cid: string): AsyncGenerator<Uint8Array> {
  return streamXrpc(pds, { nsid: 'com.atproto.sync.getBlob', params: { did, cid }, authorization });
}

const BLOBS_A_PAGE = 500;

/** com.atproto.sync.listBlobs: a page of the blobs that records name; without `cursor` it was the last. */
export async function listBlobs(
  { pds, did, authorization }: Source,
  cursor: string | undefined,
): Promise<{ cids: string[]; cursor?: string | undefined }> {
  return callXrpc(pds, {
    nsid: 'com.atproto.sync.listBlobs',
    params: { did, limit: String(BLOBS_A_PAGE), ...(cursor !== undefined && { cursor }) },
    ...(authorization !== undefined && { authorization }),
    answer: z.object({
      cids: z.array(z.string()),
      cursor: z.optional(z.string().check(z.maxLength(1024))),
    }),
  });
}

/** app.bsky.actor.getPreferences; of a PDS without an AppView, or without a session, there are none. */
export async function readPreferences({ pds, authorization }: Source): Promise<unknown[]> {
  const { preferences } = await callXrpc(pds, {
    nsid: 'app.bsky.actor.getPreferences',
    params: {},
    ...(authorization !== undefined && { authorization }),
    answer: z.object({ preferences: z.array(z.unknown()) }),
  });
  return preferences;
}
