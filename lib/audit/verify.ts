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

/**
 * Which part of a row does not hold; `row` stands for everything that the hash covers directly, `head` for a row that is
 * another than the one under a signed root (root.ts).
 */
export type Fault =
  | 'missing'
  | 'prev_hash'
  | 'row'
  | 'user_id'
  | 'details'
  | 'error_message'
  | 'created_by'
  | 'erasure'
  | 'head';

/** The first row of a chain that does not hold. `id` is null when there is no such row. */
export type Broken = { seq: number; id: number | null; fault: Fault };

export type Verdict = { intact: true; rows: number; head: Uint8Array | null } | ({ intact: false } & Broken);

/**
 * Checks a chain whose rows come one after the other, in the order of `seq`. Each call returns what is broken, if
 * something is: then the chain is done with. `end` says that no row follows.
 */
export function openChain(erasureKey: Uint8Array | null) {
  let last: ChainRow | undefined;
  return {
    next(row: ChainRow): Broken | undefined {
      const seq = (last?.seq ?? 0) + 1;
      if (row.seq !== seq) return { seq, id: null, fault: 'missing' };
      const prevHash: Uint8Array = last?.row_hash ?? GENESIS;
      const fault =
        (!same(row.prev_hash, prevHash) && 'prev_hash') ||
        (!same(row.row_hash, hashRow(prevHash, row)) && 'row') ||
        (erasureKey ? faultAgainstKey(row, erasureKey) : faultOfErased(row));
      if (fault) return { seq, id: row.id, fault };
      last = row;
      return undefined;
    },
    end(): Broken | undefined {
      if (!last || erasureKey || last.action === 'erased') return undefined;
      return { seq: last.seq, id: last.id, fault: 'erasure' };
    },
    get head(): Uint8Array | null {
      return last?.row_hash ?? null;
    },
  };
}

/**
 * Checks a whole chain, given in the order of `seq`, and names its first broken row. Proves that nothing in it was
 * changed, left out or put in since it was written. It cannot see that rows are missing at its end, nor that whoever
 * owns the database has written the whole chain anew: for that the heads have to be kept elsewhere.
 */
export function verifyChain({ rows, erasureKey }: Chain): Verdict {
  const chain = openChain(erasureKey);
  for (const row of rows) {
    const broken = chain.next(row);
    if (broken) return { intact: false, ...broken };
  }
  const broken = chain.end();
  return broken ? { intact: false, ...broken } : { intact: true, rows: rows.length, head: chain.head };
}

/** Reads a member's chain and checks it. Runs in memory: about 1 KB a row. */
export async function verifyMember(sql: Queryable, pnptvUuid: string): Promise<Verdict> {
  return verifyChain(await readChain(sql, pnptvUuid));
}

/** A member's whole chain in one consistent read, so that it may be checked while it grows. */
export async function readChain(sql: Queryable, pnptvUuid: string): Promise<Chain> {
  const rows = await sql<(ChainRow & ErasureKeyColumn)[]>`
    ${selectChain(sql)}
    WHERE pnptv_uuid = ${pnptvUuid} ORDER BY seq`;
  return { rows, erasureKey: rows[0]?.erasure_key ?? null };
}

export type ErasureKeyColumn = { erasure_key: Uint8Array | null };

/** What reads {@link ChainRow}s, each with the {@link ErasureKeyColumn}; the log is `log`, and WHERE is the caller's. */
export function selectChain(sql: Queryable) {
  return sql`SELECT log.id, log.seq, log.user_id, pnptv_uuid, log.action, log.status, log.details, log.error_code,
    log.error_message, log.created_by,
    to_char(log.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
    log.prev_hash, log.row_hash, log.user_id_commitment, log.details_commitment, log.error_message_commitment,
    keys.erasure_key
    FROM pds_provisioning_log AS log LEFT JOIN pds_erasure_keys AS keys USING (pnptv_uuid)`;
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
