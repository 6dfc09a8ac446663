import type * as z from 'zod/mini';
import type { Sql } from '../../db/connect.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import type { listOpenChanges } from '../api.ts';
import type { ChangeKind } from './change.ts';
import { type WorkOfChange, waitsFor } from './waits-for.ts';

type Row = Counted &
  WorkOfChange & {
    user_id: string;
    pnptv_uuid: string;
    kind: ChangeKind;
    step: string;
    requested_by: string;
    cancel_wanted: boolean;
    created_at: Date;
    due_at: Date;
    age_seconds: number;
    queue_id: number | null;
    next_retry: Date | null;
    error_code: string | null;
  };

/** A page of all changes under way, the one that is due longest first, for administrators. */
export async function showOpenChanges(
  sql: Sql,
  page: { limit: number; offset: number },
): Promise<{ data: z.output<typeof listOpenChanges.data>; pagination: Pagination }> {
  const rows = await sql<Row[]>`
    SELECT counted.total, listed.*
    FROM (SELECT count(*) AS total FROM pds_changes WHERE ended_at IS NULL) counted LEFT JOIN LATERAL (
      SELECT c.id, c.user_id, c.pnptv_uuid, c.kind, c.step, c.requested_by, c.cancel_wanted_at IS NOT NULL AS cancel_wanted,
        c.created_at, c.due_at, greatest(0, floor(extract(epoch FROM now() - c.due_at)))::int AS age_seconds,
        c.progress->>'waits_for' AS obstacle, c.due_at > now() AS is_early, work.*
      FROM pds_changes c LEFT JOIN LATERAL (
        SELECT id AS queue_id, status AS work_status, parked_reason, next_retry, error_details->>'code' AS error_code
        FROM pds_provisioning_queue q WHERE q.user_id = c.user_id AND q.action = c.kind ORDER BY id DESC LIMIT 1
      ) work ON true
      WHERE c.ended_at IS NULL ORDER BY c.due_at, c.id LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true ORDER BY listed.due_at, listed.id`;
  return pageOf(
    rows,
    page,
    ({ work_status, parked_reason, obstacle, is_early, next_retry, created_at, due_at, ...row }) => ({
      ...row,
      waits_for: waitsFor({ work_status, parked_reason, obstacle, is_early }),
      next_try_at: work_status === 'pending' ? (next_retry?.toISOString() ?? null) : null,
      created_at: created_at.toISOString(),
      due_at: due_at.toISOString(),
    }),
  );
}
