import { randomBytes } from 'node:crypto';
import { AppError } from '../app-error.ts';
import type { Transaction } from '../db/connect.ts';
import { commitments, GENESIS, hashRow } from './canonical.ts';
import { cleanDetails, cleanText } from './details.ts';

/** What happened to a member's identity. */
export type AuditAction =
  | 'created'
  | 'updated'
  | 'verified'
  | 'error'
  | 'revoked'
  | 'key_rotated'
  | 'key_retired'
  | 'retry'
  | 'health_check'
  | 'backup_created'
  | 'backup_restored'
  | 'credentials_revealed'
  | 'app_password_created'
  | 'app_password_revoked'
  | 'recovery_key_changed'
  | 'handed_over'
  | 'second_factor_enrolled'
  | 'second_factor_removed'
  | 'recovery_codes_renewed'
  | 'recovery_code_used'
  | 'step_up_refused'
  | 'exported'
  | 'orphan_settled'
  | 'moved'
  | 'joined'
  | 'erased';

export type AuditEntry = {
  userId: string;
  pnptvUuid: string;
  action: AuditAction;
  status: 'success' | 'failed' | 'pending';
  /** Kept for ever and shown to the member: cleaned of secrets and stack traces, see details.ts. */
  details?: Record<string, unknown>;
  errorCode?: string;
  errorMessage?: string;
  /** The user who did it, or 'system'. Default 'system'. */
  createdBy?: string;
};

type Head = {
  pnptv_uuid: string;
  id: number;
  created_at: string;
  erasure_key: Uint8Array | null;
  erased: boolean;
  seq: number;
  prev_hash: Uint8Array | null;
};
type Appended = { id: number; seq: number; prev_hash: Uint8Array; erasure_key: Uint8Array };

/**
 * Adds an entry to the member's chain as part of the caller's transaction: it is there if and only if the
 * transaction commits. Call it late: from here to the commit the member's other appends wait.
 * The transaction must be READ COMMITTED (the default); under a stricter level concurrent appends fail, never fork.
 * Fails with AUDIT_MEMBER_ERASED when the member was erased.
 */
export async function appendAudit(tx: Transaction, entry: AuditEntry): Promise<{ id: number; seq: number }> {
  await lockChains(tx, [entry.pnptvUuid]);
  const [head] = await readHeads(tx, [entry.pnptvUuid]);
  return append(tx, head as Head, entry);
}

/** {@link appendAudit} for many entries at once, of as many members, each one's in this order; a few hundred a transaction. */
export async function appendAudits(tx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const byMember = new Map<string, AuditEntry[]>();
  for (const entry of entries)
    byMember.set(entry.pnptvUuid, [...(byMember.get(entry.pnptvUuid) ?? []), entry]);
  // Always in the same order, so that no two transactions wait for each other.
  await lockChains(tx, [...byMember.keys()].sort());
  const places = await readHeads(
    tx,
    entries.map(({ pnptvUuid }) => pnptvUuid),
  );
  const appendAll = async ([member, own]: [string, AuditEntry[]]) => {
    const his = places.filter((place) => place.pnptv_uuid === member).sort((a, b) => a.id - b.id);
    let last: Partial<Appended> = {};
    for (const [index, entry] of own.entries()) {
      const { id, created_at } = his[index] as Head;
      last = await append(tx, { ...(his[0] as Head), ...last, id, created_at }, entry);
    }
  };
  await Promise.all([...byMember].map(appendAll));
}

async function append(tx: Transaction, head: Head, entry: AuditEntry): Promise<Appended> {
  const { pnptvUuid } = entry;
  if (head.erased)
    throw new AppError(
      'AUDIT_MEMBER_ERASED',
      'The member was erased; nothing can be logged about him any more.',
    );
  const erasureKey = head.erasure_key ?? (await makeErasureKey(tx, pnptvUuid));

  const row = {
    id: head.id,
    seq: head.seq + 1,
    user_id: entry.userId,
    pnptv_uuid: pnptvUuid,
    action: entry.action,
    status: entry.status,
    details: cleanDetails(entry.details),
    error_code: entry.errorCode ?? null,
    error_message: entry.errorMessage === undefined ? null : cleanText(entry.errorMessage),
    created_by: entry.createdBy ?? 'system',
    created_at: head.created_at,
  };
  const committed = { ...row, ...commitments(erasureKey, row) };
  const prevHash = head.prev_hash ?? GENESIS;
  const rowHash = hashRow(prevHash, committed);
  // The time stays text all the way: through a Date it would lose the microseconds that are hashed.
  await tx`
    INSERT INTO pds_provisioning_log (
      id, seq, user_id, pnptv_uuid, action, status, details, error_code, error_message, created_by, created_at,
      user_id_commitment, details_commitment, error_message_commitment, prev_hash, row_hash
    ) VALUES (
      ${row.id}, ${row.seq}, ${row.user_id}, ${row.pnptv_uuid}, ${row.action}, ${row.status},
      ${row.details && tx.json(row.details)}, ${row.error_code}, ${row.error_message}, ${row.created_by},
      ${row.created_at}::timestamptz, ${committed.user_id_commitment}, ${committed.details_commitment},
      ${committed.error_message_commitment}, ${prevHash}, ${rowHash}
    )`;
  return { id: row.id, seq: row.seq, prev_hash: rowHash, erasure_key: erasureKey };
}

/** A statement of its own: the next one then sees what the transactions we waited for have committed. */
async function lockChains(tx: Transaction, members: readonly string[]): Promise<void> {
  await tx`
    SELECT pg_advisory_xact_lock(hashtextextended('audit:' || member, 0)) FROM unnest(${members}::uuid[]) AS member`;
}

/**
 * The ends of the chains, once for each time that a member is named, and an id and a time for the row that comes: both are
 * part of what is hashed.
 */
async function readHeads(tx: Transaction, members: readonly string[]): Promise<Head[]> {
  return tx<Head[]>`
    SELECT pnptv_uuid, nextval('pds_provisioning_log_id_seq') AS id,
      to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
      keys.erasure_key, keys.erased_at IS NOT NULL AS erased,
      coalesce(head.seq, 0) AS seq, head.row_hash AS prev_hash
    FROM unnest(${members}::uuid[]) AS member (pnptv_uuid)
    LEFT JOIN pds_erasure_keys AS keys USING (pnptv_uuid)
    LEFT JOIN LATERAL (
      SELECT seq, row_hash FROM pds_provisioning_log AS log
      WHERE log.pnptv_uuid = member.pnptv_uuid ORDER BY seq DESC LIMIT 1
    ) AS head ON true`;
}

async function makeErasureKey(tx: Transaction, pnptvUuid: string): Promise<Uint8Array> {
  const erasureKey = randomBytes(32);
  await tx`INSERT INTO pds_erasure_keys (pnptv_uuid, erasure_key) VALUES (${pnptvUuid}, ${erasureKey})`;
  return erasureKey;
}
