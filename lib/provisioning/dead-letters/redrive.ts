import type * as z from 'zod/mini';
import { appendAudit } from '../../audit/append.ts';
import type { Queryable, Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { redriveAll, redriveWork } from '../api.ts';
import type { FailedRow } from '../queue/fail.ts';
import { enqueue, type QueueId } from '../queue/queue.ts';
import { countDeadLetters, isLoose, isOpen } from './dead-letters.ts';

export type Redriven = z.output<typeof redriveWork.data>;
type Redrive = { queueId: QueueId; by: string };

/**
 * Begins failed work again, with fresh attempts and the same secrets, and writes down who wanted it: in one transaction,
 * so that of many at once one does. Its dead letters count as redriven. Work that is not open stays as it is, and
 * `reason` says why. `queue_id` is the row that works now, after the caller has sent it. Throws `WORK_NOT_FOUND` (404).
 */
export function redrive({ sql }: { sql: Sql }, { queueId, by }: Redrive): Promise<Redriven> {
  return sql.begin(async (tx): Promise<Redriven> => {
    const [row] = await tx<(FailedRow & { status: string })[]>`
      SELECT id::text, user_id, pnptv_uuid, action, status FROM pds_provisioning_queue WHERE id = ${queueId} FOR UPDATE`;
    if (row === undefined) throw apiError('WORK_NOT_FOUND');
    await tx`
      UPDATE dead_letters SET redriven_at = now(), redriven_by = ${by} WHERE queue_id = ${queueId} AND redriven_at IS NULL`;
    const reason = await whyNot(tx, row);
    if (reason) return { queue_id: Number(queueId), redriven: false, reason };
    const action = row.action === 'create' ? 'retry' : row.action;
    const work = await enqueue(tx, { userId: row.user_id, action, by });
    await appendAudit(tx, {
      userId: row.user_id,
      pnptvUuid: row.pnptv_uuid,
      action: 'retry',
      status: 'pending',
      details: { queue_id: work.queueId, redriven: row.id, work: row.action },
      createdBy: by,
    });
    return { queue_id: Number(work.queueId), redriven: true, reason: null };
  });
}

/** The row is locked: whoever redrove it before is seen by now. */
async function whyNot(tx: Transaction, { id, status }: { id: QueueId; status: string }) {
  if (status === 'completed') return 'done';
  if (status !== 'failed') return 'at_work';
  const [open] = await tx`
    SELECT q.id FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id) WHERE q.id = ${id} AND ${isOpen(tx)}`;
  return open ? undefined : 'superseded';
}

/** Rows that are looked up at once. */
const BATCH = 100;

/**
 * Begins everything again that had failed when it was called, the oldest first, for at most `withinMs`: each work in a
 * transaction of its own, so that what is done stays done. Then puts away the dead letters that stand for no work. The
 * caller sends what is due (`sendDue`).
 */
export async function redriveEverything(
  { sql, now }: { sql: Sql; now: () => number },
  { by, withinMs, signal }: { by: string; withinMs: number; signal: AbortSignal },
): Promise<z.output<typeof redriveAll.data>> {
  const deadline = now() + withinMs;
  const [{ begun }] = await sql<[{ begun: string }]>`SELECT now()::text AS begun`;
  let redriven = 0;
  let after: Place | undefined;
  for (;;) {
    const batch = await failedBefore(sql, begun, after);
    for (const place of batch) {
      signal.throwIfAborted();
      if (now() > deadline) return { redriven, put_away: 0, left: await countDeadLetters(sql) };
      if ((await redrive({ sql }, { queueId: place.id, by })).redriven) redriven += 1;
      after = place;
    }
    if (batch.length < BATCH) break;
  }
  const putAway = await sql`
    UPDATE dead_letters d SET redriven_at = now(), redriven_by = ${by} WHERE d.created_at <= ${begun} AND ${isLoose(sql)}`;
  return { redriven, put_away: putAway.count, left: await countDeadLetters(sql) };
}

type Place = { id: QueueId; failed_at: string };

/** Open failed work in the order of the list. */
function failedBefore(sql: Queryable, begun: string, after: Place | undefined) {
  return sql<Place[]>`
    SELECT q.id::text, q.updated_at::text AS failed_at
    FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
    WHERE ${isOpen(sql)} AND q.updated_at <= ${begun}
      ${after ? sql`AND (q.updated_at, q.id) > (${after.failed_at}::timestamptz, ${after.id}::bigint)` : sql``}
    ORDER BY q.updated_at, q.id LIMIT ${BATCH}`;
}
