import type * as z from 'zod/mini';
import type { Me } from '../../auth/session/session.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import type { listChanges } from '../api.ts';
import { isCancellable } from './cancel.ts';
import type { ChangeKind, Facts } from './change.ts';
import { type WorkOfChange, waitsFor } from './waits-for.ts';

export type ShownChange = z.output<typeof listChanges.data>[number];

type Row = Counted &
  WorkOfChange & {
    kind: ChangeKind;
    step: string;
    wish: Facts;
    progress: Facts;
    outcome: 'done' | 'cancelled' | 'failed' | null;
    due_at: Date;
    cancel_wanted_at: Date | null;
    created_at: Date;
    ended_at: Date | null;
    error_code: string | null;
    error_message: string | null;
  };

/** The changes of whoever is logged in, newest first. */
export async function showChanges(
  me: Me,
  page: { limit: number; offset: number },
): Promise<{ data: ShownChange[]; pagination: Pagination }> {
  const rows = await me<Row>`
    SELECT counted.total, listed.*
    FROM (SELECT count(*) AS total FROM pds_changes c WHERE c.user_id = me.id) counted
    LEFT JOIN LATERAL (
      SELECT id, kind, step, wish, progress, outcome, due_at, cancel_wanted_at, created_at, ended_at, error_code, error_message,
        progress->>'waits_for' AS obstacle, due_at > now() AS is_early, work.*
      FROM pds_changes c LEFT JOIN LATERAL (
        SELECT status AS work_status, parked_reason FROM pds_provisioning_queue q
        WHERE q.user_id = c.user_id AND q.action = c.kind AND c.ended_at IS NULL ORDER BY q.id DESC LIMIT 1
      ) work ON true WHERE c.user_id = me.id
      ORDER BY id DESC LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true ORDER BY listed.id DESC`;
  return pageOf(
    rows,
    page,
    ({ id, kind, step, wish: asked, progress, outcome, error_code, error_message, ...row }) => {
      const { firm: _, ...wish } = asked;
      return {
        id,
        kind,
        state: outcome ?? 'under_way',
        step,
        wish,
        cancellable: outcome === null && isCancellable({ kind, step, wish: asked, progress }),
        cancel_wanted: row.cancel_wanted_at !== null,
        waits_for: waitsFor(row),
        due_at: row.due_at.toISOString(),
        created_at: row.created_at.toISOString(),
        ended_at: row.ended_at?.toISOString() ?? null,
        error: error_code === null ? null : { code: error_code, message: error_message ?? '' },
      };
    },
  );
}
