import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { type Answered, answerOf, type Join, lockJoin, logJoin, tellBoth } from './join.ts';

type Stop = { joinId: number; outcome: 'refused' | 'withdrawn'; by: string; userId?: string };

/**
 * Calls a join off that has not begun, whoever has agreed, and tells both accounts. `userId`: one of its accounts does. Throws `JOIN_NOT_FOUND`
 * (404) and `JOIN_NOT_OPEN` (409) when it is over or being carried out.
 */
export function stopJoin({ sql }: { sql: Sql }, stop: Stop): Promise<Answered> {
  return sql.begin((tx) => stopJoinIn(tx, stop));
}

/** {@link stopJoin}, as part of the caller's transaction. */
export async function stopJoinIn(tx: Transaction, { joinId, outcome, by, userId }: Stop): Promise<Answered> {
  if (await isBeingCarriedOut(tx, joinId)) throw apiError('JOIN_NOT_OPEN');
  const join = await lockJoin(tx, joinId, userId);
  await endJoin(tx, join, outcome);
  await tx`
    UPDATE pds_provisioning_queue SET status = 'completed', parked_reason = NULL
    WHERE user_id = ${join.from_user_id} AND action = 'join' AND status IN ('pending', 'processing')`;
  await logJoin(tx, join, {
    happened: outcome,
    status: 'failed',
    createdBy: by === 'recovery_key' ? userId : by,
  });
  await tellBoth(tx, join, 'join_off');
  return answerOf({ ...join, outcome });
}

/** Frees both identities, in the caller's transaction. */
export async function endJoin(
  tx: Transaction,
  { id }: Pick<Join, 'id'>,
  outcome: 'refused' | 'withdrawn',
): Promise<void> {
  await tx`
    UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled'
    WHERE kind = 'join' AND ended_at IS NULL AND (wish->>'join_id')::bigint = ${id}`;
  await tx`UPDATE pds_joins SET ended_at = now(), outcome = ${outcome} WHERE id = ${id} AND ended_at IS NULL`;
}

/** The queue row before all else, as everywhere: while it is locked no worker begins. */
async function isBeingCarriedOut(tx: Transaction, joinId: number): Promise<boolean> {
  const [row] = await tx<{ begun: boolean }[]>`
    SELECT q.status = 'processing' AND q.next_retry > now() AS begun
    FROM pds_joins j JOIN pds_provisioning_queue q ON q.user_id = j.from_user_id
    WHERE j.id = ${joinId} AND j.change_id IS NOT NULL AND q.action = 'join' AND q.status IN ('pending', 'processing')
    FOR UPDATE OF q`;
  return row?.begun ?? false;
}
