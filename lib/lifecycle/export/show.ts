import type * as z from 'zod/mini';
import type { Me } from '../../auth/session/session.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import type { listExports } from '../api.ts';
import type { Export } from './rows.ts';

export type ShownExport = z.output<typeof listExports.data>[number];

type Row = Counted &
  Pick<Export, 'id' | 'contents' | 'step' | 'progress' | 'created_at'> & {
    size: string;
    outcome: 'ready' | 'failed' | null;
    given_up: { code: string; message: string } | null;
    ended_at: Date | null;
    expires_at: Date;
    error_code: string | null;
    error_message: string | null;
  };

/**
 * The exports of whoever is logged in, newest first. One whose work was given up counts as failed; who asks for it again
 * has it go on.
 */
export async function showExports(
  me: Me,
  page: { limit: number; offset: number },
): Promise<{ data: ShownExport[]; pagination: Pagination }> {
  const rows = await me<Row>`
    SELECT counted.total, listed.*
    FROM (SELECT count(*) AS total FROM pds_exports e WHERE e.user_id = me.id AND e.expires_at > now()) counted
    LEFT JOIN LATERAL (
      SELECT id, contents, step, progress, size::text, outcome, created_at, ended_at, expires_at, error_code, error_message,
        CASE WHEN e.outcome IS NULL THEN (
          SELECT q.error_details FROM pds_provisioning_queue q
          WHERE q.user_id = me.id AND q.action = 'export' AND q.status = 'failed' AND q.id = (
            SELECT max(id) FROM pds_provisioning_queue l WHERE l.user_id = me.id AND l.action = 'export')
        ) END AS given_up
      FROM pds_exports e WHERE e.user_id = me.id AND e.expires_at > now()
      ORDER BY id DESC LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true ORDER BY listed.id DESC`;
  return pageOf(rows, page, ({ id, contents, step, progress, size, outcome, given_up, ...row }) => ({
    id,
    contents,
    state: outcome ?? (given_up ? 'failed' : 'under_way'),
    step,
    blobs: progress.blobs ?? 0,
    size: Number(size),
    left_out: progress.left_out ?? [],
    created_at: row.created_at.toISOString(),
    ended_at: row.ended_at?.toISOString() ?? null,
    expires_at: row.expires_at.toISOString(),
    error:
      row.error_code === null
        ? given_up && { code: given_up.code, message: given_up.message }
        : { code: row.error_code, message: row.error_message ?? '' },
  }));
}
