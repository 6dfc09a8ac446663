import type * as z from 'zod/mini';
import { cleanDetails } from '../../audit/details.ts';
import type { Queryable } from '../../db/connect.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import type { listDeadLetters } from '../api.ts';
import type { ErrorDetails } from '../identity.ts';
import { CHANGE_ACTIONS, type QueueAction } from '../queue/queue.ts';
import { explainCause } from './causes.ts';

export type DeadLetter = z.output<typeof listDeadLetters.data>[number];

type Row = Counted & {
  queue_id: number | null;
  pnptv_uuid: string | null;
  action: QueueAction | null;
  error_details: ErrorDetails | null;
  code: string;
  attempts: number;
  receives: number;
  failed_at: Date;
  age_seconds: number;
};

/**
 * Whether failed work, `q` with its member's mapping `m`, is still to be done: nothing newer has taken its place, the
 * member has no identity without it, and he is neither erased nor, unless it is a change of his, revoked.
 */
export function isOpen(sql: Queryable) {
  return sql`q.status = 'failed' AND (m.status <> 'revoked' OR q.action IN ${sql(CHANGE_ACTIONS)})
    AND (q.action NOT IN ('create', 'retry') OR m.status <> 'active')
    AND NOT EXISTS (
      SELECT FROM pds_provisioning_queue newer WHERE newer.user_id = q.user_id AND newer.id > q.id
        AND (newer.action = q.action OR (newer.action IN ('create', 'retry') AND q.action IN ('create', 'retry'))))
    AND NOT EXISTS (SELECT FROM pds_erasure_keys k WHERE k.pnptv_uuid = q.pnptv_uuid AND k.erasure_key IS NULL)`;
}

/** Dead letters, `d`, that no open work stands for: they can only be put away. */
export function isLoose(sql: Queryable) {
  return sql`d.redriven_at IS NULL AND NOT EXISTS (
    SELECT FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
    WHERE q.id = d.queue_id AND ${isOpen(sql)})`;
}

/** Everything that was given up and is open: one entry for each work, and one for each message that has none. */
function openEntries(sql: Queryable) {
  return sql`
    SELECT q.id AS queue_id, q.id AS tie, q.pnptv_uuid, q.action, q.error_details,
      coalesce(q.error_details->>'code', 'UNKNOWN') AS code, q.attempt_count + q.claims AS attempts,
      coalesce((SELECT max(receive_count) FROM dead_letters d WHERE d.queue_id = q.id AND d.redriven_at IS NULL), 0) AS receives,
      q.updated_at AS failed_at
    FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
    WHERE ${isOpen(sql)}
    UNION ALL
    SELECT w.id, d.id, w.pnptv_uuid, w.action, NULL,
      CASE WHEN w.id IS NULL THEN 'NO_SUCH_WORK' ELSE 'WORK_WENT_ON' END,
      coalesce(w.attempt_count + w.claims, 0), d.receive_count, d.created_at
    FROM dead_letters d LEFT JOIN pds_provisioning_queue w ON w.id = d.queue_id
    WHERE ${isLoose(sql)}`;
}

/** A page of what was given up and is open, the oldest first, and how many there are in all. */
export async function readDeadLetters(
  sql: Queryable,
  page: { limit: number; offset: number },
): Promise<{ data: DeadLetter[]; pagination: Pagination }> {
  const rows = await sql<Row[]>`
    WITH entries AS MATERIALIZED (${openEntries(sql)})
    SELECT counted.total, listed.* FROM (SELECT count(*) AS total FROM entries) counted LEFT JOIN LATERAL (
      SELECT *, tie AS id, floor(extract(epoch FROM now() - failed_at))::int AS age_seconds
      FROM entries ORDER BY failed_at, tie LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true
    ORDER BY listed.failed_at, listed.tie`;
  return pageOf(rows, page, ({ queue_id, pnptv_uuid, action, code, error_details, ...row }) => {
    const { code: _, message, ...details } = error_details ?? { code, message: undefined };
    return {
      queue_id,
      pnptv_uuid,
      action,
      code,
      ...explainCause(code, message),
      details: Object.keys(details).length > 0 ? cleanDetails(details) : null,
      attempts: row.attempts,
      receives: row.receives,
      failed_at: row.failed_at.toISOString(),
      age_seconds: Math.max(0, row.age_seconds),
    };
  });
}

/** How many entries {@link readDeadLetters} has. */
export async function countDeadLetters(sql: Queryable): Promise<number> {
  const [counted] = await sql<
    [{ total: number }]
  >`SELECT count(*) AS total FROM (${openEntries(sql)}) entries`;
  return counted.total;
}
