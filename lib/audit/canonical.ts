import { createHash, createHmac } from 'node:crypto';

/** The start of every chain: what the first row names as the hash before it. */
export const GENESIS: Uint8Array = new Uint8Array(32);

/** The parts of a row that may be erased; the chain covers commitments to them instead of them. */
export type Commitments = {
  user_id_commitment: Uint8Array;
  details_commitment: Uint8Array;
  error_message_commitment: Uint8Array;
};

/** What a row's hash covers, in the names of the table. `created_at` is ISO 8601 UTC with six decimals. */
export type HashedRow = Commitments & {
  id: number;
  seq: number;
  user_id: string | null;
  pnptv_uuid: string;
  action: string;
  status: string;
  error_code: string | null;
  created_by: string | null;
  created_at: string;
};

/**
 * HMAC-SHA256 of a column's value under the member's erasure key. A Telegram id has few enough digits to be guessed
 * from a bare hash; without the key, which erasure destroys, nobody can check a guess.
 */
export function commitTo(erasureKey: Uint8Array, column: string, value: unknown): Uint8Array {
  return createHmac('sha256', erasureKey)
    .update(canonicalJson([column, value]))
    .digest();
}

/** The three commitments of a row; an absent value is committed to as well, so that none can be slipped in later. */
export function commitments(
  erasureKey: Uint8Array,
  row: { user_id: string | null; details: unknown; error_message: string | null },
): Commitments {
  return {
    user_id_commitment: commitTo(erasureKey, 'user_id', row.user_id),
    details_commitment: commitTo(erasureKey, 'details', row.details),
    error_message_commitment: commitTo(erasureKey, 'error_message', row.error_message),
  };
}

/** `row_hash` = SHA-256(prev_hash ‖ canonical row). */
export function hashRow(prevHash: Uint8Array, row: HashedRow): Uint8Array {
  return createHash('sha256').update(prevHash).update(canonicalRow(row)).digest();
}

/**
 * The bytes of a row that are hashed: RFC 8785 canonical JSON, so that any language can check a chain.
 * A row written by the member himself says `created_by: null`: his id must not be in there, it is erasable.
 */
export function canonicalRow(row: HashedRow): string {
  return canonicalJson({
    v: 1,
    id: row.id,
    seq: row.seq,
    pnptv_uuid: row.pnptv_uuid,
    action: row.action,
    status: row.status,
    error_code: row.error_code,
    created_by: row.created_by === row.user_id ? null : row.created_by,
    created_at: row.created_at,
    user_id: hex(row.user_id_commitment),
    details: hex(row.details_commitment),
    error_message: hex(row.error_message_commitment),
  });
}

/**
 * RFC 8785 (JSON Canonicalization Scheme) of a JSON value: members sorted by UTF-16 code units, numbers and strings
 * as ECMAScript writes them, no white space. jsonb keeps neither the order of members nor the notation of numbers,
 * this depends on neither.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
