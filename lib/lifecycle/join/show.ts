import type * as z from 'zod/mini';
import type { Me } from '../../auth/session/session.ts';
import type { Queryable } from '../../db/connect.ts';
import { type Counted, pageOf } from '../../http/paging.ts';
import type { Pagination } from '../../http/request.ts';
import { showHandle } from '../../pds/info.ts';
import type { listJoins, listOwnJoins } from '../api/joins.ts';
import { type Join, stateOf } from './join.ts';

type Shown = z.output<typeof listJoins.data>[number];
type OwnShown = z.output<typeof listOwnJoins.data>[number];
type Row = Counted & Omit<Join, 'id'> & { pds_handle: string | null };
type Page = { limit: number; offset: number };

/** The identity that goes is the old account's; after it went, the new one's. */
const joinColumns = (sql: Queryable) => sql`
  j.*, m.pds_handle, (SELECT due_at FROM pds_changes c WHERE c.id = j.change_id) AS due_at`;
const identityOf = (sql: Queryable) => sql`
  LEFT JOIN user_pds_mapping m ON m.user_id = CASE j.outcome WHEN 'done' THEN j.to_user_id ELSE j.from_user_id END`;

/** A page of all joins, newest first, for administrators. */
export async function showJoins(
  sql: Queryable,
  me: Me,
  page: Page,
): Promise<{ data: Shown[]; pagination: Pagination }> {
  const rows = await me<Row>`
    SELECT counted.total, listed.* FROM (SELECT count(*) AS total FROM pds_joins) counted
    LEFT JOIN LATERAL (
      SELECT ${joinColumns(sql)} FROM pds_joins j ${identityOf(sql)} ORDER BY j.id DESC
      LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true ORDER BY listed.id DESC`;
  return pageOf(rows, page, (row) => ({
    ...show(row),
    requested_by: row.requested_by,
    approved_by: row.approved_by,
  }));
}

/** A page of those that whoever is logged in takes part in, newest first. */
export async function showOwnJoins(
  sql: Queryable,
  me: Me,
  page: Page,
): Promise<{ data: OwnShown[]; pagination: Pagination }> {
  const rows = await me<Row & { side: 'from' | 'to' }>`
    SELECT counted.total, listed.* FROM (
      SELECT count(*) AS total FROM pds_joins j WHERE me.id IN (j.from_user_id, j.to_user_id)
    ) counted LEFT JOIN LATERAL (
      SELECT ${joinColumns(sql)}, CASE me.id WHEN j.from_user_id THEN 'from' ELSE 'to' END AS side
      FROM pds_joins j ${identityOf(sql)} WHERE me.id IN (j.from_user_id, j.to_user_id)
      ORDER BY j.id DESC LIMIT ${page.limit} OFFSET ${page.offset}
    ) listed ON true ORDER BY listed.id DESC`;
  return pageOf(rows, page, ({ side, ...row }) => ({ ...show(row), side }));
}

function show(row: Omit<Row, keyof Counted> & { id: number }) {
  return {
    id: row.id,
    state: stateOf(row),
    from_user_id: row.from_user_id,
    to_user_id: row.to_user_id,
    pds_handle: showHandle(row.pds_handle),
    reason: row.reason,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    accepted_at: row.accepted_at?.toISOString() ?? null,
    consented_at: row.consented_at?.toISOString() ?? null,
    approved_at: row.approved_at?.toISOString() ?? null,
    due_at: row.due_at?.toISOString() ?? null,
    ended_at: row.ended_at?.toISOString() ?? null,
  };
}
