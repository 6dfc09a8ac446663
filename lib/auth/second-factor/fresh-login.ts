import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Member } from '../session/session.ts';

/**
 * Throws `LOGIN_NOT_FRESH` (403) unless this session began in the last 10 minutes. Whoever finds an open browser, or
 * steals an old session, cannot give somebody else's identity a second factor of his own.
 */
export async function insistOnFreshLogin(sql: Queryable, { session_id }: Member): Promise<void> {
  const fresh = await sql`
    SELECT FROM sessions WHERE id = ${session_id} AND created_at > now() - interval '10 minutes'`;
  if (fresh.count === 0) throw apiError('LOGIN_NOT_FRESH');
}
