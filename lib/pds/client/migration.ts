import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import { callXrpc, type PdsConnection } from '../xrpc.ts';

/** An account's owner, at his PDS. */
type Owner = { pds: PdsConnection; accessJwt: string };

/** com.atproto.server.getServiceAuth: a token, signed by the repo's key, for one method of the service `aud`. */
export async function getServiceAuth(
  { pds, accessJwt }: Owner,
  { aud, lxm }: { aud: string; lxm: string },
): Promise<string> {
  const { token } = await callXrpc(pds, {
    nsid: 'com.atproto.server.getServiceAuth',
    params: { aud, lxm },
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({ token: z.string().check(z.minLength(1), z.maxLength(4096)) }),
  });
  return token;
}

/** What a PDS holds of an account: https://docs.bsky.app/docs/api/com-atproto-server-check-account-status */
export type Holdings = {
  activated: boolean;
  validDid: boolean;
  /** The CID of the newest commit. */
  repoCommit: string;
  indexedRecords: number;
  expectedBlobs: number;
};

/** com.atproto.server.checkAccountStatus, whole. */
export async function readHoldings({ pds, accessJwt }: Owner): Promise<Holdings> {
  return callXrpc(pds, {
    nsid: 'com.atproto.server.checkAccountStatus',
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({
      activated: z.boolean(),
      validDid: z.boolean(),
      repoCommit: z.string(),
      indexedRecords: z.number(),
      expectedBlobs: z.number(),
    }),
  });
}

/** com.atproto.repo.listMissingBlobs: a page of the CIDs that records name and the PDS has not; the last one is empty. */
export async function listMissingBlobs(
  { pds, accessJwt }: Owner,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ cids: readonly string[]; cursor?: string | undefined }> {
  const { blobs, cursor: next } = await callXrpc(pds, {
    nsid: 'com.atproto.repo.listMissingBlobs',
    params: { limit: String(limit), ...(cursor !== undefined && { cursor }) },
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({
      cursor: z.optional(z.string().check(z.maxLength(1024))),
      blobs: z.array(z.object({ cid: z.string().check(z.maxLength(256)) })),
    }),
  });
  return { cids: blobs.map(({ cid }) => cid), cursor: next };
}

const preferences = z.object({ preferences: z.array(z.record(z.string(), z.unknown())) });
export type Preferences = z.output<typeof preferences>['preferences'];

/** app.bsky.actor.getPreferences: what apps keep about their user, and nobody else sees. */
export async function getPreferences({ pds, accessJwt }: Owner): Promise<Preferences> {
  const answer = await callXrpc(pds, {
    nsid: 'app.bsky.actor.getPreferences',
    authorization: `Bearer ${accessJwt}`,
    answer: preferences,
  });
  return answer.preferences;
}

/** app.bsky.actor.putPreferences, in the place of all that were there; may be repeated. */
export async function putPreferences({ pds, accessJwt }: Owner, wanted: Preferences): Promise<void> {
  await callXrpc(pds, {
    nsid: 'app.bsky.actor.putPreferences',
    input: { preferences: wanted },
    authorization: `Bearer ${accessJwt}`,
  });
}

type RecordKey = { repo: Did; collection: string; rkey: string };

/** com.atproto.repo.putRecord, of a record of no known lexicon; may be repeated. */
export async function putRecord(
  { pds, accessJwt }: Owner,
  { record, ...key }: RecordKey & { record: Readonly<Record<string, unknown>> },
): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.repo.putRecord',
    input: { ...key, record: { $type: key.collection, ...record }, validate: false },
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({ uri: z.string() }),
  });
}

/** com.atproto.repo.deleteRecord; may be repeated. */
export async function deleteRecord({ pds, accessJwt }: Owner, key: RecordKey): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.repo.deleteRecord',
    input: key,
    authorization: `Bearer ${accessJwt}`,
  });
}
