import type { Queryable } from '../db/connect.ts';
import type { Details } from './details.ts';

/** An entry as the member sees it. */
export type LogRow = {
  id: number;
  action: string;
  status: 'success' | 'failed' | 'pending';
  details: Details | null;
  error_message: string | null;
  created_at: Date;
};

/** A page of the member's log, newest first, and how many entries there are in all. */
export async function readLog(
  sql: Queryable,
  userId: string,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ rows: LogRow[]; total: number }> {
  const [rows, [count]] = await Promise.all([
    sql<LogRow[]>`
      SELECT id, action, status, details, error_message, created_at
      FROM pds_provisioning_log WHERE user_id = ${userId} ORDER BY seq DESC LIMIT ${limit} OFFSET ${offset}`,
    sql<[{ total: number }]>`SELECT count(*) AS total FROM pds_provisioning_log WHERE user_id = ${userId}`,
  ]);
  return { rows: [...rows], total: count.total };
}
