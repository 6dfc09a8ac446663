import { say } from '../../auth/bot/outbox.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import type { NoticeGroup } from '../../operators/describe.ts';

/** A kind is told at once, then at most once in this time: what comes meanwhile adds up. */
const ONCE_IN = '1 hour';
/** Of all kinds together. What is too much waits; the kinds that were told longest ago come first. */
export const MOST_AN_HOUR = 12;
const SUBJECTS_NAMED = 5;

/** What a {@link NoticeGroup} needs of a message, under its alias `m`. */
export function groupColumns(sql: Queryable) {
  return sql`m.kind, m.subjects, m.subject_count,
    to_char(m.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since,
    EXISTS (SELECT FROM operator_messages earlier WHERE earlier.kind = m.kind AND earlier.id < m.id
      AND earlier.created_at > m.created_at - interval '1 day') AS is_more`;
}

/**
 * Makes messages of the notices that are due, one for each kind, in one transaction: with its commit they wait for both
 * channels, the chat's in the bot's outbox. Returns how many. Several runs at once make each once.
 */
export async function writeMessages({
  sql,
  chatId,
}: {
  sql: Sql;
  chatId: number | undefined;
}): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(hashtextextended('operator_messages', 0))`;
    const written = await tx<{ id: number }[]>`
      WITH told AS (
        SELECT kind, max(created_at) AS last_at FROM operator_messages GROUP BY kind
      ), due AS (
        SELECT kind FROM operator_notices LEFT JOIN told USING (kind)
        WHERE last_at IS NULL OR last_at <= now() - ${ONCE_IN}::interval
        GROUP BY kind, last_at ORDER BY last_at NULLS FIRST, min(id)
        LIMIT greatest(0, ${MOST_AN_HOUR} -
          (SELECT count(*) FROM operator_messages WHERE created_at > now() - interval '1 hour'))
      ), taken AS (
        DELETE FROM operator_notices n USING due WHERE n.kind = due.kind RETURNING n.kind, n.subject, n.created_at
      )
      INSERT INTO operator_messages (kind, subjects, subject_count, since)
      SELECT kind, (array_agg(DISTINCT subject))[1:${SUBJECTS_NAMED}], count(DISTINCT subject), min(created_at)
      FROM taken GROUP BY kind
      RETURNING id`;
    if (chatId === undefined || written.length === 0) return written.length;
    const groups = await tx<NoticeGroup[]>`
      SELECT ${groupColumns(tx)} FROM operator_messages m
      WHERE id IN ${tx(written.map(({ id }) => id))} ORDER BY id`;
    for (const details of groups) await say(tx, { chatId, language: 'en' }, { kind: 'operators', details });
    return written.length;
  });
}
