import type { Queryable } from '../../db/connect.ts';

/** Ends the joins that were not agreed on in time. Returns how many. */
export async function expireJoins(sql: Queryable): Promise<number> {
  const expired = await sql`
    UPDATE pds_joins SET ended_at = now(), outcome = 'expired'
    WHERE ended_at IS NULL AND change_id IS NULL AND expires_at <= now()`;
  return expired.count;
}
