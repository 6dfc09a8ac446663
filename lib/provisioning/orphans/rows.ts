import { appendAudit } from '../../audit/append.ts';
import type { Did } from '../../brands.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import { notifyOperators } from '../../operators/notify.ts';

/** An account that may have come to be where its member does not live: a row of `pds_possible_orphans`. */
export type Orphan = {
  id: number;
  user_id: string;
  pnptv_uuid: string;
  provider_id: string;
  pds_did: Did;
  account_password_sealed: string;
  state: 'possible' | 'closing' | 'deactivated';
  absent_since: Date | null;
  /** When the member moved away from it, if he did: he had lived there. */
  moved_at: Date | null;
};

/** What became of it. */
export type End = 'absent' | 'deleted' | 'deactivated' | 'foreign' | 'in_use';

/** Longer than anything that is asked of a PDS about one, and shorter than until the next run. */
const LOOK_MS = 5 * 60_000;
/** How often we ask again for what only an operator can delete, where we have admin rights after all. */
const AGAIN_MS = 24 * 3600_000;

/**
 * Takes the next one that is due, for this caller alone: one whose quarantine is over, or a deactivated one at a
 * provider that lets us delete. As long as a member has no account at all he may come back to it: it waits. So does one
 * that he has moved away from, as long as he has not arrived: it may be all that can be read of him.
 */
export async function claimOrphan(
  sql: Queryable,
  { now, startedBefore, deletingAt }: { now: Date; startedBefore: Date; deletingAt: readonly string[] },
): Promise<Orphan | undefined> {
  const [orphan] = await sql<Orphan[]>`
    UPDATE pds_possible_orphans SET look_at = ${new Date(now.getTime() + LOOK_MS)} WHERE id IN (
      SELECT o.id FROM pds_possible_orphans o JOIN user_pds_mapping m USING (user_id)
      WHERE (o.state IN ('possible', 'closing') OR o.state = 'deactivated' AND o.provider_id = ANY(${[...deletingAt]}))
        AND m.provisioning_step NOT IN ('requested', 'reserved')
        AND (o.moved_at IS NULL OR NOT EXISTS (
          SELECT FROM pds_changes c WHERE c.user_id = o.user_id AND c.kind = 'move' AND c.ended_at IS NULL))
        AND o.create_started_at <= ${startedBefore} AND (o.look_at IS NULL OR o.look_at <= ${now})
      ORDER BY o.id LIMIT 1 FOR UPDATE OF o SKIP LOCKED)
    RETURNING ${orphanColumns(sql)}`;
  return orphan;
}

const orphanColumns = (sql: Queryable) =>
  sql`id, user_id, pnptv_uuid, provider_id, pds_did, account_password_sealed, state, absent_since, moved_at`;

/** Those of a member that nobody has settled yet. */
export async function openOrphansOf(
  sql: Queryable,
  userId: string,
): Promise<(Orphan & { create_started_at: Date })[]> {
  return sql<(Orphan & { create_started_at: Date })[]>`
    SELECT ${orphanColumns(sql)}, create_started_at FROM pds_possible_orphans
    WHERE user_id = ${userId} AND state IN ('possible', 'closing') ORDER BY id`;
}

/** Gives one up that nobody can look for any more. */
export async function forgetOrphan(sql: Queryable, { id }: Pick<Orphan, 'id'>): Promise<void> {
  await sql`DELETE FROM pds_possible_orphans WHERE id = ${id}`;
}

/** Those of a member of which nobody needs to know the passwords any more. */
export async function forgetSettledOrphans(sql: Queryable, userId: string): Promise<void> {
  await sql`DELETE FROM pds_possible_orphans WHERE user_id = ${userId} AND state NOT IN ('possible', 'closing')`;
}

/** Notes since when no account is seen there; null: it is not known any more. */
export async function noteAbsent(sql: Queryable, orphan: Orphan, since: Date | null): Promise<void> {
  await sql`UPDATE pds_possible_orphans SET absent_since = ${since} WHERE ${isStill(sql, orphan)} AND state = 'possible'`;
}

/**
 * Whether what is proven ours may be done away with: `mine` from now on, so that the member does not move in again. Reads
 * where he lives under the lock under which he moves: `in_use` when it is there, `gone` when somebody else decided.
 */
export async function beginClosing(sql: Sql, orphan: Orphan): Promise<'mine' | 'in_use' | 'gone'> {
  return sql.begin(async (tx) => {
    const [member] = await tx<{ provider_id: string | null }[]>`
      SELECT provider_id FROM user_pds_mapping WHERE user_id = ${orphan.user_id} FOR UPDATE`;
    if (member?.provider_id === orphan.provider_id) return 'in_use';
    const closing = await tx`
      UPDATE pds_possible_orphans SET state = 'closing' WHERE ${isStill(tx, orphan)} AND state = ${orphan.state}`;
    return closing.count === 1 ? 'mine' : 'gone';
  });
}

/**
 * Notes of one that was found active, before it is deactivated, that its member may have written there: as with one that he
 * has moved away from, he has time to look back.
 */
export async function noteLivedIn(sql: Queryable, orphan: Orphan, at: Date): Promise<void> {
  await sql`UPDATE pds_possible_orphans SET moved_at = ${at} WHERE ${isStill(sql, orphan)} AND moved_at IS NULL`;
  orphan.moved_at ??= at;
}

/** Leaves one alone until then; the member may move back in meanwhile. */
export async function leaveUntil(sql: Queryable, orphan: Orphan, until: Date): Promise<void> {
  await sql`
    UPDATE pds_possible_orphans SET state = 'possible', look_at = ${until}
    WHERE ${isStill(sql, orphan)} AND state IN ('possible', 'closing')`;
}

/** The row is used again when it happens again: then it has another password. */
function isStill(sql: Queryable, { id, account_password_sealed }: Orphan) {
  return sql`id = ${id} AND account_password_sealed = ${account_password_sealed}`;
}

/** Writes down what became of it, with an entry in the member's log; operators are told of what is left to them. */
export async function settleOrphan(sql: Sql, orphan: Orphan, end: End, now: Date): Promise<void> {
  const { user_id: userId, pnptv_uuid: pnptvUuid, provider_id, pds_did } = orphan;
  await sql.begin(async (tx) => {
    const settled = await tx`
      UPDATE pds_possible_orphans
      SET state = ${end}, settled_at = ${now}, absent_since = NULL,
        look_at = ${end === 'deactivated' ? new Date(now.getTime() + AGAIN_MS) : null}
      WHERE ${isStill(tx, orphan)} AND state IN ('possible', 'closing', 'deactivated')`;
    // Somebody else has settled it, or it is as it was.
    if (settled.count === 0 || orphan.state === end) return;
    await appendAudit(tx, {
      userId,
      pnptvUuid,
      action: 'orphan_settled',
      status: end === 'foreign' ? 'failed' : 'success',
      details: { outcome: end, meaning: meaningOf(orphan, end), provider: provider_id, pds_did },
    });
    if (end === 'deactivated') await notifyOperators(tx, { kind: 'orphan_left', subject: provider_id });
    if (end === 'foreign') {
      await notifyOperators(tx, { kind: 'orphan_foreign', subject: `${pnptvUuid} at ${provider_id}` });
    }
  });
}

function meaningOf({ moved_at }: Orphan, end: End): string {
  return (moved_at && MEANINGS_AFTER_A_MOVE[end]) ?? MEANINGS[end];
}

const MEANINGS_AFTER_A_MOVE: Partial<Record<End, string>> = {
  absent: 'The account that you moved away from is not there any more.',
  deleted: 'The account that you moved away from is deleted.',
  deactivated:
    'The account that you moved away from stays deactivated; only the operator of that server can delete it.',
};

const MEANINGS: Record<End, string> = {
  absent: 'No second account was made there.',
  deleted: 'A second account had been made there, which nobody used. It is deleted.',
  deactivated:
    'A second account had been made there. It is deactivated; only the operator of that server can delete it.',
  foreign: 'There is an account with this DID that was not made by us. It was not touched.',
  in_use: 'The identity lives there after all.',
};
