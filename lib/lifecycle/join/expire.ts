import type { Transaction } from '../../db/connect.ts';
import { type Join, tellBoth } from './join.ts';

/** Ends the joins that were not agreed on in time, and tells their accounts. Returns how many. */
export async function expireJoins(tx: Transaction): Promise<number> {
  const expired = await tx<Pick<Join, 'id' | 'from_user_id' | 'to_user_id'>[]>`
    UPDATE pds_joins SET ended_at = now(), outcome = 'expired'
    WHERE ended_at IS NULL AND change_id IS NULL AND expires_at <= now()
    RETURNING id, from_user_id, to_user_id`;
  for (const join of expired) await tellBoth(tx, join, 'join_off');
  return expired.length;
}
