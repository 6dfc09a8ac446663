import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import { type Counted, pageOf } from '../http/paging.ts';
import type { Pagination } from '../http/request.ts';
import type { provisioningLog } from './api.ts';

export type LogEntry = z.output<typeof provisioningLog.data>[number];
type Row = Counted & Omit<LogEntry, 'id' | 'created_at'> & { created_at: Date };

/**
 * A page of the audit log of whoever is logged in, newest first, and how many entries there are in all. It is the log of
 * his identity, also from when that belonged to another Telegram account (lib/lifecycle/join).
 */
export async function readLogPage(
  me: Me,
  page: { limit: number; offset: number },
): Promise<{ data: LogEntry[]; pagination: Pagination }> {
  const rows = await me<Row>`
    WITH mine AS (SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = me.id)
    SELECT counted.total, entry.* FROM (
      SELECT count(*) AS total FROM pds_provisioning_log JOIN mine USING (pnptv_uuid)
    ) counted LEFT JOIN LATERAL (
      SELECT id, action, status, details, error_message, created_at
      FROM pds_provisioning_log JOIN mine USING (pnptv_uuid)
      ORDER BY seq DESC LIMIT ${page.limit} OFFSET ${page.offset}
    ) entry ON true
    ORDER BY entry.id DESC`;
  return pageOf(rows, page, ({ created_at, ...entry }) => ({
    ...entry,
    created_at: created_at.toISOString(),
  }));
}
