import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { Pagination } from '../http/request.ts';
import type { provisioningLog } from './api.ts';

export type LogEntry = z.output<typeof provisioningLog.data>[number];
type Row = { total: number; id: number | null } & Omit<LogEntry, 'id' | 'created_at'> & { created_at: Date };

/** A page of the audit log of whoever is logged in, newest first, and how many entries there are in all. */
export async function readLogPage(
  me: Me,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ data: LogEntry[]; pagination: Pagination }> {
  // Beyond the last page there is one row that has nothing but the total.
  const rows = await me<Row>`
    SELECT counted.total, entry.* FROM (
      SELECT count(*) AS total FROM pds_provisioning_log WHERE user_id = me.id
    ) counted LEFT JOIN LATERAL (
      SELECT id, action, status, details, error_message, created_at
      FROM pds_provisioning_log WHERE user_id = me.id ORDER BY seq DESC LIMIT ${limit} OFFSET ${offset}
    ) entry ON true
    ORDER BY entry.id DESC`;
  const data = rows.flatMap(({ total: _, id, created_at, ...entry }) =>
    id === null ? [] : [{ id, ...entry, created_at: created_at.toISOString() }],
  );
  return { data, pagination: { limit, offset, total: rows[0]?.total ?? 0 } };
}
