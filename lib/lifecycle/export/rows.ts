import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import type { JsonValue, Queryable, Transaction } from '../../db/connect.ts';
import { LeaseLost, updateIdentity } from '../../provisioning/identity.ts';
import { completeRow } from '../../provisioning/queue/settle.ts';
import type { Run } from '../../provisioning/run.ts';

export type ExportStep = 'requested' | 'blobs' | 'repository' | 'sealed';
export type Contents = 'data' | 'data_and_keys';

/** What an export has found out on its way; a type by itself, since it is stored as JSON. */
export type ExportProgress = {
  /** The last blob of the list that was looked at. */
  cursor?: string;
  blobs?: number;
  repository?: { root: string; rev: string; key: string } | null;
  /** What is not in it, and why: for the member. */
  left_out?: { what: string; why: string }[];
  /** Blobs that records name and the PDS does not have. */
  missing_blobs?: string[];
  /** How many runs in a row had no time to get anything done that is stored. */
  cut_off?: number;
  /** How often it began anew, because what was stored of it was gone. */
  begun_anew?: number;
};

/** An export under way, as its worker knows it. `step`: the last one that is done and stored. */
export type Export = {
  id: number;
  user_id: string;
  pnptv_uuid: string;
  contents: Contents;
  step: ExportStep;
  keys_jwe: string | null;
  credential_version: number | null;
  storage_id: string;
  upload_id: string | null;
  parts: string[];
  tail: string | null;
  size: number;
  progress: ExportProgress;
  created_at: Date;
};

/** A file in the archive. */
export type Entry = { name: string; size: number; sha256: string };

/** The export that a member has under way, if any. */
export async function readOpenExport(sql: Queryable, userId: string): Promise<Export | undefined> {
  const [row] = await sql<(Omit<Export, 'size'> & { size: string })[]>`
    SELECT id, user_id, pnptv_uuid, contents, step, keys_jwe, credential_version, storage_id, upload_id, parts, tail,
      size::text, progress, created_at
    FROM pds_exports WHERE user_id = ${userId} AND ended_at IS NULL`;
  return row && { ...row, size: Number(row.size) };
}

/**
 * Stores how far an export is, and what has come into its archive since, as long as this worker holds the member. Throws
 * LeaseLost, with nothing stored, when another worker has him, or the export is over.
 */
export async function storeProgress(
  { sql, identity }: Pick<Run, 'sql' | 'identity'>,
  wanted: Export,
  entries: readonly Entry[] = [],
): Promise<void> {
  const { id, step, upload_id, parts, tail, size, progress } = wanted;
  await sql.begin(async (tx) => {
    const stored = await tx`
      UPDATE pds_exports SET step = ${step}, upload_id = ${upload_id}, parts = ${tx.json(parts)}, tail = ${tail},
        size = ${size}, progress = ${tx.json(progress as JsonValue)}
      WHERE id = ${id} AND ended_at IS NULL AND EXISTS (
        SELECT FROM user_pds_mapping m WHERE m.user_id = ${identity.user_id} AND m.epoch = ${identity.epoch})`;
    if (stored.count === 0) throw new LeaseLost();
    if (entries.length === 0) return;
    const [{ place }] = await tx<[{ place: number }]>`
      SELECT count(*)::int AS place FROM pds_export_entries WHERE export_id = ${id}`;
    const rows = entries.map((entry, index) => ({ export_id: id, place: place + index, ...entry }));
    await tx`INSERT INTO pds_export_entries ${tx(rows)}`;
  });
}

/** Forgets what the archive had so far: it begins anew, under another name. Returns how often it did by now. */
export async function forgetProgress({ sql, identity }: Run, wanted: Export): Promise<number> {
  const begun_anew = (wanted.progress.begun_anew ?? 0) + 1;
  await sql.begin(async (tx) => {
    const begun = await tx`
      UPDATE pds_exports SET step = 'requested', upload_id = NULL, parts = '[]', tail = NULL, size = 0,
        progress = ${tx.json({ begun_anew })}, storage_id = gen_random_uuid()
      WHERE id = ${wanted.id} AND ended_at IS NULL AND EXISTS (
        SELECT FROM user_pds_mapping m WHERE m.user_id = ${identity.user_id} AND m.epoch = ${identity.epoch})`;
    if (begun.count === 0) throw new LeaseLost();
    await tx`DELETE FROM pds_export_entries WHERE export_id = ${wanted.id}`;
  });
  return begun_anew;
}

/** What is in the archive so far, in order. */
export async function readEntries(sql: Queryable, { id }: Export): Promise<Entry[]> {
  const rows = await sql<(Omit<Entry, 'size'> & { size: string })[]>`
    SELECT name, size::text, sha256 FROM pds_export_entries WHERE export_id = ${id} ORDER BY place`;
  return rows.map(({ name, size, sha256 }) => ({ name, size: Number(size), sha256 }));
}

export type ExportEnd = { outcome: 'ready' } | { outcome: 'failed'; code: string; message: string };

/** Ends an export and its work, frees the member, and has the bot tell him. Throws LeaseLost when another worker has him. */
export async function endExport(run: Run, wanted: Export, end: ExportEnd): Promise<void> {
  const failure = end.outcome === 'failed' ? end : undefined;
  await run.sql.begin(async (tx) => {
    await completeRow(tx, run.work);
    await updateIdentity(tx, run.identity, { lease_until: null });
    const [ended] = await tx<{ expires_at: Date }[]>`
      UPDATE pds_exports SET ended_at = now(), outcome = ${end.outcome}, keys_jwe = NULL,
        expires_at = now() + interval '7 days', error_code = ${failure?.code ?? null}, error_message = ${failure?.message ?? null}
      WHERE id = ${wanted.id} AND ended_at IS NULL RETURNING expires_at`;
    if (ended === undefined) throw new LeaseLost();
    const details = failure
      ? ({ event: 'failed', error: { code: failure.code, message: failure.message } } as const)
      : ({
          event: 'ready',
          bytes: wanted.size,
          until: ended.expires_at.toISOString(),
          without_repository: !wanted.progress.repository,
        } as const);
    await sayTo(tx, wanted.user_id, { kind: 'export', details });
    await noteExport(tx, wanted, {
      status: failure ? 'failed' : 'success',
      details: { size: wanted.size, left_out: (wanted.progress.left_out ?? []).map(({ what }) => what) },
      ...(failure && { errorCode: failure.code, errorMessage: failure.message }),
    });
  });
}

/** Writes into the member's log what becomes of an export. */
export async function noteExport(
  tx: Transaction,
  {
    id,
    user_id: userId,
    pnptv_uuid: pnptvUuid,
    contents,
  }: Pick<Export, 'id' | 'user_id' | 'pnptv_uuid' | 'contents'>,
  entry: Pick<AuditEntry, 'status' | 'details' | 'errorCode' | 'errorMessage' | 'createdBy'>,
): Promise<void> {
  const details = { export_id: id, contents, ...entry.details };
  await appendAudit(tx, { userId, pnptvUuid, action: 'exported', ...entry, details });
}
