import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { Queryable } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import type { logExport } from './api.ts';
import { findInclusion, isIncluded, type RootProof } from './inclusion.ts';
import { type Broken, type ChainRow, type ErasureKeyColumn, selectChain, verifyChain } from './verify.ts';
import type { LogVerdict } from './verify-log.ts';

export type LogExport = z.output<typeof logExport>;
type Entry = LogExport['entries'][number];

/** About 3 MB; a Lambda answers with 6 MB at most. */
const MAX_ENTRIES = 3000;

/**
 * The whole log of whoever is logged in, for him to keep and to verify without us. Throws `LOG_TOO_LARGE` (409).
 *
 * It holds what he sees of his log anyway and what the proof needs. The erasure key opens the commitments of his own
 * rows and nothing else; with it nobody can forge a row, for the chain has no secret. Whoever keeps the file can still
 * name him in what his erasure leaves behind, but then the file says more itself. `created_by` is part of
 * what is hashed, so he learns the Telegram id of an administrator who did something for him.
 */
export async function exportOwnLog(
  { sql }: { sql: Queryable },
  me: Me,
  maxEntries = MAX_ENTRIES,
): Promise<LogExport> {
  const root = await findInclusion(me);
  const rows = await me<ChainRow & ErasureKeyColumn>`
    ${selectChain(sql)}
    WHERE pnptv_uuid = (SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = me.id) ORDER BY log.seq LIMIT ${maxEntries + 1}`;
  if (rows.length > maxEntries) throw apiError('LOG_TOO_LARGE');
  const [first] = rows;
  return {
    format: 'pds-audit-log/1',
    pnptv_uuid: first?.pnptv_uuid ?? null,
    erasure_key: first?.erasure_key ? hex(first.erasure_key) : null,
    entries: rows.map(exportRow),
    root,
  };
}

/**
 * Checks an exported log with nothing but itself. What it proves, and what it cannot, says verify.ts; with a root, that
 * nothing up to then was shortened or written anew, for who knows the key that signed it. Throws `ROOT_INVALID`.
 */
export function verifyExport({ pnptv_uuid, erasure_key, entries, root }: LogExport): LogVerdict {
  const pnptvUuid = pnptv_uuid ?? '';
  const rows = entries.map((entry) => importRow(pnptvUuid, entry));
  const verdict = verifyChain({ rows, erasureKey: erasure_key === null ? null : bytes(erasure_key) });
  const broken = verdict.intact ? root && faultUnderRoot(root, pnptvUuid, entries) : verdict;
  if (!broken) return { members: Math.min(1, rows.length), entries: rows.length, broken: null };
  const { seq, id, fault } = broken;
  return { members: 0, entries: seq - 1, broken: { pnptvUuid, seq, id, fault } };
}

function faultUnderRoot(root: RootProof, pnptvUuid: string, entries: readonly Entry[]): Broken | null {
  const entry = entries[root.seq - 1];
  if (!entry) return { seq: root.seq, id: null, fault: 'missing' };
  if (isIncluded([pnptvUuid, root.seq, entry.row_hash], root)) return null;
  return { seq: root.seq, id: entry.id, fault: 'head' };
}

function exportRow(row: ChainRow): Entry {
  return {
    id: row.id,
    seq: row.seq,
    user_id: row.user_id,
    action: row.action,
    status: row.status,
    details: row.details as Entry['details'],
    error_code: row.error_code,
    error_message: row.error_message,
    created_by: row.created_by,
    created_at: row.created_at,
    user_id_commitment: hex(row.user_id_commitment),
    details_commitment: hex(row.details_commitment),
    error_message_commitment: hex(row.error_message_commitment),
    prev_hash: hex(row.prev_hash),
    row_hash: hex(row.row_hash),
  };
}

function importRow(pnptvUuid: string, entry: Entry): ChainRow {
  return {
    ...entry,
    pnptv_uuid: pnptvUuid,
    user_id_commitment: bytes(entry.user_id_commitment),
    details_commitment: bytes(entry.details_commitment),
    error_message_commitment: bytes(entry.error_message_commitment),
    prev_hash: bytes(entry.prev_hash),
    row_hash: bytes(entry.row_hash),
  };
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value, 'hex');
}
