import type { Queryable } from '../db/connect.ts';
import { commitments, GENESIS, type HashedRow, hashRow } from './canonical.ts';

/** A row of the log with everything that takes part in its proof. */
export type ChainRow = HashedRow & {
  details: unknown;
  error_message: string | null;
  prev_hash: Uint8Array;
  row_hash: Uint8Array;
};

/** A member's chain; `erasureKey` is null when he was erased. */
export type Chain = { rows: readonly ChainRow[]; erasureKey: Uint8Array | null };

/** Which part of a row does not hold; `row` stands for everything that the hash covers directly. */
export type Fault =
  | 'missing'
  | 'prev_hash'
  | 'row'
  | 'user_id'
  | 'details'
  | 'error_message'
  | 'created_by'
  | 'erasure';

export type Verdict =
  | { intact: true; rows: number; head: Uint8Array | null }
  | { intact: false; seq: number; id: number | null; fault: Fault };

/**
 * Checks a whole chain, given in the order of `seq`, and names its first broken row. Proves that nothing in it was
 * changed, left out or put in since it was written. It cannot see that rows are missing at its end, nor that whoever
 * owns the database has written the whole chain anew: for that the heads have to be kept elsewhere.
 */
export function verifyChain({ rows, erasureKey }: Chain): Verdict {
  let head: Uint8Array | null = null;
  for (const [index, row] of rows.entries()) {
    const seq = index + 1;
    if (row.seq !== seq) return { intact: false, seq, id: null, fault: 'missing' };
    const prevHash: Uint8Array = head ?? GENESIS;
    const fault =
      (!same(row.prev_hash, prevHash) && 'prev_hash') ||
      (!same(row.row_hash, hashRow(prevHash, row)) && 'row') ||
      (erasureKey ? faultAgainstKey(row, erasureKey) : faultOfErased(row));
    if (fault) return { intact: false, seq, id: row.id, fault };
    head = row.row_hash;
  }
  const last = rows.at(-1);
  if (last && !erasureKey && last.action !== 'erased') {
    return { intact: false, seq: last.seq, id: last.id, fault: 'erasure' };
  }
  return { intact: true, rows: rows.length, head };
}

/** Reads a member's chain and checks it. Runs in memory: about 1 KB a row. */
export async function verifyMember(sql: Queryable, pnptvUuid: string): Promise<Verdict> {
  return verifyChain(await readChain(sql, pnptvUuid));
}

/** A member's whole chain in one consistent read, so that it may be checked while it grows. */
export async function readChain(sql: Queryable, pnptvUuid: string): Promise<Chain> {
  const rows = await sql<(ChainRow & { erasure_key: Uint8Array | null })[]>`
    SELECT id, seq, user_id, pnptv_uuid, action, status, details, error_code, error_message, created_by,
      to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
      prev_hash, row_hash, user_id_commitment, details_commitment, error_message_commitment,
      (SELECT erasure_key FROM pds_erasure_keys AS keys WHERE keys.pnptv_uuid = log.pnptv_uuid) AS erasure_key
    FROM pds_provisioning_log AS log WHERE pnptv_uuid = ${pnptvUuid} ORDER BY seq`;
  return { rows, erasureKey: rows[0]?.erasure_key ?? null };
}

function faultAgainstKey(row: ChainRow, erasureKey: Uint8Array): Fault | undefined {
  const expected = commitments(erasureKey, row);
  if (!same(row.user_id_commitment, expected.user_id_commitment)) return 'user_id';
  if (!same(row.details_commitment, expected.details_commitment)) return 'details';
  if (!same(row.error_message_commitment, expected.error_message_commitment)) return 'error_message';
  // Null stands for the member himself, and is written only by erasure.
  return row.created_by === null ? 'created_by' : undefined;
}

function faultOfErased(row: ChainRow): Fault | undefined {
  return row.user_id === null && row.details === null && row.error_message === null ? undefined : 'erasure';
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
