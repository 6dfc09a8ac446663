import postgres from 'postgres';
import type { Queryable } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import { type Broken, type ChainRow, type ErasureKeyColumn, openChain, selectChain } from './verify.ts';

/** The first row of the log that does not hold, and whose it is. */
export type BrokenEntry = Broken & { pnptvUuid: string };
/** How many chains and entries hold; up to the first that does not, if there is one. */
export type LogVerdict = { members: number; entries: number; broken: BrokenEntry | null };

type Row = ChainRow & ErasureKeyColumn;

/** Rows fetched at a time, about 1 KB each: all that is in memory at once. */
const BATCH = 1000;

/**
 * Checks the chains of all members, or of those named, by their uuid and from the oldest row on, up to the first row
 * that does not hold. One statement reads them all, so the log may grow meanwhile. What one chain cannot show
 * (verify.ts) this cannot either, but for one thing: a chain that is gone as a whole, because its key's row stays.
 * Throws `AUDIT_TOO_LARGE` (503) when `signal` aborts, or the role's statement_timeout strikes, before the end.
 */
export async function verifyLog(
  sql: Queryable,
  { members, signal }: { members?: readonly string[]; signal?: AbortSignal } = {},
): Promise<LogVerdict> {
  const check = openCheck();
  try {
    for await (const rows of selectRows(sql, members).cursor(BATCH)) {
      if (signal?.aborted) throw apiError('AUDIT_TOO_LARGE');
      for (const row of rows) if (check.next(row)) return check.verdict();
    }
    if (check.end()) return check.verdict();
    return { ...check.verdict(), broken: await findVanishedChain(sql, members) };
  } catch (error) {
    throw isStatementTimeout(error) ? apiError('AUDIT_TOO_LARGE', { cause: error }) : error;
  }
}

function selectRows(sql: Queryable, members: readonly string[] | undefined) {
  return sql<Row[]>`
    ${selectChain(sql)}
    WHERE ${isAmong(sql, members)} ORDER BY pnptv_uuid, log.seq`;
}

/** A key is written with the first entry and never deleted: where it stands alone, all entries are missing. */
async function findVanishedChain(
  sql: Queryable,
  members: readonly string[] | undefined,
): Promise<BrokenEntry | null> {
  const [vanished] = await sql<{ pnptv_uuid: string }[]>`
    SELECT pnptv_uuid FROM pds_erasure_keys AS keys WHERE ${isAmong(sql, members)}
      AND NOT EXISTS (SELECT FROM pds_provisioning_log AS log WHERE log.pnptv_uuid = keys.pnptv_uuid)
    ORDER BY pnptv_uuid LIMIT 1`;
  return vanished ? { pnptvUuid: vanished.pnptv_uuid, seq: 1, id: null, fault: 'missing' } : null;
}

function isAmong(sql: Queryable, members: readonly string[] | undefined) {
  return members ? sql`pnptv_uuid = ANY(${members as string[]}::uuid[])` : sql`true`;
}

/** Takes the rows of chain after chain and keeps the count. `next` and `end` say whether something is broken. */
function openCheck() {
  let current: { pnptvUuid: string; chain: ReturnType<typeof openChain> } | undefined;
  let members = 0;
  let entries = 0;
  let broken: BrokenEntry | null = null;

  const note = (found: Broken | undefined): boolean => {
    if (found && current) broken = { pnptvUuid: current.pnptvUuid, ...found };
    return broken !== null;
  };
  const end = (): boolean => {
    if (note(current?.chain.end())) return true;
    if (current) members += 1;
    return false;
  };
  return {
    next(row: Row): boolean {
      if (row.pnptv_uuid !== current?.pnptvUuid) {
        if (end()) return true;
        current = { pnptvUuid: row.pnptv_uuid, chain: openChain(row.erasure_key) };
      }
      if (note(current.chain.next(row))) return true;
      entries += 1;
      return false;
    },
    end,
    verdict: (): LogVerdict => ({ members, entries, broken }),
  };
}

function isStatementTimeout(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === '57014';
}
