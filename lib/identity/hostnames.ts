import type { ISql, TransactionSql } from 'postgres';
import { AppError } from '../app-error.ts';
import type { Did, Handle } from '../brands.ts';
import { didHost } from './did.ts';
import type { DidDocumentArgs, MemberKey } from './document.ts';
import { normalizeHost } from './host.ts';

/** What a host of ours shows of its member: enough for both well-known paths. */
export type HostedIdentity = DidDocumentArgs & {
  kind: 'did' | 'handle';
  /** From when on the document may be cached; null while it is being changed. */
  settlesAt: Date | null;
};

/**
 * Takes the names of a new identity for a member: the handle and, of a did:web, its host; all or none, and false when
 * one is taken. A did:plc is null until the PDS has made it: see `giveHandleDid`.
 * Waits for a concurrent transaction that is about to take the same name.
 */
export async function reserveHostnames(
  tx: TransactionSql,
  { userId, did, handle }: { userId: string; did: Did | null; handle: Handle },
): Promise<boolean> {
  const rows = [
    ...(did === null ? [] : [{ hostname: didHost(did), kind: 'did', user_id: userId, did }]),
    { hostname: handle, kind: 'handle', user_id: userId, did },
  ];
  try {
    await tx.savepoint(async (names) => {
      const taken = await names`INSERT INTO hostnames ${names(rows)} ON CONFLICT (hostname) DO NOTHING`;
      if (taken.count < rows.length) throw new NameTaken();
    });
    return true;
  } catch (error) {
    if (error instanceof NameTaken) return false;
    throw error;
  }
}

/**
 * Lets the handle of a member, reserved before there was a DID, stand for this one from now on.
 * Throws `HOSTNAME_NOT_HELD` if it is not his, or stands for another DID.
 */
export async function giveHandleDid(
  tx: ISql,
  { userId, did, handle }: { userId: string; did: Did; handle: Handle },
): Promise<void> {
  const given = await tx`
    UPDATE hostnames SET did = ${did}
    WHERE hostname = ${handle} AND kind = 'handle' AND user_id = ${userId} AND (did IS NULL OR did = ${did})`;
  if (given.count === 0) {
    throw new AppError('HOSTNAME_NOT_HELD', 'The handle to be given a DID does not belong to this member.');
  }
}

type ReplaceHandleArgs = { userId: string; did: Did; refused: Handle; handle: Handle; again?: boolean };

/**
 * Gives a member another handle in place of one that the PDS refused; the DID stays.
 * False, and nothing changed, when the new one is taken. The refused name becomes `reserved`: some account on the
 * PDS may hold it, so nobody here gets it, except this member himself with `again`.
 * Throws `HOSTNAME_NOT_HELD` if `refused` is not this member's handle.
 */
export async function replaceHandleHostname(
  tx: ISql,
  { userId, did, refused, handle, again = false }: ReplaceHandleArgs,
): Promise<boolean> {
  const [changed] = await tx<[{ taken: number; given_up: number }]>`
    WITH taken AS (
      INSERT INTO hostnames (hostname, kind, user_id, did) VALUES (${handle}, 'handle', ${userId}, ${did})
      ON CONFLICT (hostname) DO UPDATE SET kind = 'handle', released_at = NULL
        WHERE ${again} AND hostnames.kind = 'reserved' AND hostnames.user_id = ${userId} AND hostnames.did = ${did}
      RETURNING hostname
    ), given_up AS (
      UPDATE hostnames SET kind = 'reserved', released_at = now()
      WHERE hostname = ${refused} AND kind = 'handle' AND user_id = ${userId} AND did = ${did}
        AND EXISTS (SELECT FROM taken)
      RETURNING hostname
    )
    SELECT (SELECT count(*)::int FROM taken) AS taken, (SELECT count(*)::int FROM given_up) AS given_up`;
  if (changed.taken === 0) return false;
  if (changed.given_up === 0) {
    throw new AppError('HOSTNAME_NOT_HELD', 'The handle to be replaced does not belong to this member.');
  }
  return true;
}

/**
 * The identity that a host under our domain stands for, from a Host header as it came, in one query.
 * Undefined when nobody has the name, when it is reserved, or was given up and its grace is over, and before its
 * `#atproto` key is chosen.
 */
export async function findIdentityByHost(
  sql: ISql,
  host: string | undefined,
  now = new Date(),
): Promise<HostedIdentity | undefined> {
  const hostname = normalizeHost(host);
  if (hostname === undefined) return undefined;
  const [row] = await sql<HostRow[]>`
    SELECT h.kind, m.pds_did, m.pds_handle, m.atproto_public_key, m.pds_endpoint, m.document_settles_at,
      (SELECT coalesce(json_agg(json_build_object('id', k.key_id, 'publicKeyMultibase', k.public_key_multibase)
                                ORDER BY k.id), '[]')
       FROM pds_verification_keys k
       WHERE k.user_id = m.user_id AND k.state IN ('active', 'retiring')) AS member_keys
    FROM hostnames h
    JOIN user_pds_mapping m ON m.user_id = h.user_id AND m.pds_did = h.did
    WHERE h.hostname = ${hostname} AND h.kind IN ('did', 'handle')
      AND (h.released_at IS NULL OR h.serve_until > ${now})
      AND m.pds_handle IS NOT NULL AND m.atproto_public_key IS NOT NULL`;
  return (
    row && {
      kind: row.kind,
      did: row.pds_did,
      handle: row.pds_handle,
      atprotoKey: row.atproto_public_key,
      memberKeys: row.member_keys,
      serviceEndpoint: row.pds_endpoint,
      settlesAt: row.document_settles_at,
    }
  );
}

type HostRow = {
  kind: 'did' | 'handle';
  pds_did: Did;
  pds_handle: Handle;
  atproto_public_key: string;
  pds_endpoint: string | null;
  document_settles_at: Date | null;
  member_keys: MemberKey[];
};

class NameTaken extends Error {}
