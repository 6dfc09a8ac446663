import { appendAudit } from '../../audit/append.ts';
import type { Sql } from '../../db/connect.ts';
import { beginMove } from './request.ts';

type Departure = {
  from: string;
  to: string;
  /** One of them only. */
  userId?: string | undefined;
  /** How many at most. */
  limit: number;
  now: Date;
};

/**
 * Has members who live on one PDS move to another one, as an operator wishes, the oldest first: each as if he had asked
 * for it himself, with an entry in his log that says who did. Whoever has a change under way is left out. Returns how many
 * were begun, and how many still live there with nothing under way. Throws what `beginMove` throws.
 */
export async function emptyProvider(
  sql: Sql,
  { from, to, userId, limit, now }: Departure,
): Promise<{ begun: number; left: number }> {
  const settled = await sql<{ user_id: string; pnptv_uuid: string }[]>`
    SELECT m.user_id, m.pnptv_uuid FROM user_pds_mapping m
    WHERE m.provider_id = ${from} AND m.status = 'active' ${userId === undefined ? sql`` : sql`AND m.user_id = ${userId}`}
      AND NOT EXISTS (SELECT FROM pds_changes c WHERE c.user_id = m.user_id AND c.ended_at IS NULL)
    ORDER BY m.id`;
  const leaving = settled.slice(0, limit);
  for (const { user_id, pnptv_uuid } of leaving) {
    await sql.begin(async (tx) => {
      const { changeId } = await beginMove(tx, { userId: user_id, provider: to, by: 'operator', now });
      await appendAudit(tx, {
        userId: user_id,
        pnptvUuid: pnptv_uuid,
        action: 'moved',
        status: 'pending',
        details: { change_id: changeId, from, to },
        createdBy: 'operator',
      });
    });
  }
  return { begun: leaving.length, left: settled.length - leaving.length };
}
