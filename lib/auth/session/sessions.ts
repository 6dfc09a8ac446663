import type * as z from 'zod/mini';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { listSessions } from '../api.ts';
import { deviceOf } from './device.ts';
import { isLiving, type Me, type Member } from './session.ts';

export type ListedSession = z.output<typeof listSessions.data>[number];
type Row = Pick<ListedSession, 'id' | 'login_method' | 'current'> & {
  user_agent: string | null;
  created_at: Date;
  last_seen_at: Date;
  expires_at: Date;
};

/**
 * The living sessions of whoever is logged in, newest use first: his own, which is in use now, is the first. When
 * another was last used is known to the hour (session.ts). OWASP ASVS 5.0, 7.5.2.
 */
export async function readSessions({ sql }: { sql: Queryable }, me: Me): Promise<ListedSession[]> {
  const rows = await me<Row>`
    SELECT s.id, s.user_agent, s.login_method, s.created_at, s.expires_at, s.id = me.session_id AS current,
      CASE WHEN s.id = me.session_id THEN now() ELSE s.last_seen_at END AS last_seen_at
    FROM sessions s WHERE s.user_id = me.id AND ${isLiving(sql)}
    ORDER BY last_seen_at DESC, s.created_at DESC`;
  return rows.map(({ id, user_agent, login_method, created_at, last_seen_at, expires_at, current }) => ({
    id,
    device: deviceOf(user_agent),
    login_method,
    created_at: created_at.toISOString(),
    last_seen_at: last_seen_at.toISOString(),
    expires_at: expires_at.toISOString(),
    current,
  }));
}

/**
 * Ends a living session of this member, at once and for good. Throws `SESSION_NOT_FOUND` (404) for any other, without
 * telling whether there is one: another member's, one that is over, one that was revoked a moment ago.
 */
export async function revokeSession(
  sql: Queryable,
  member: Member,
  id: string,
): Promise<{ wasCurrent: boolean }> {
  const [revoked] = await sql<{ was_current: boolean }[]>`
    UPDATE sessions s SET revoked_at = now() WHERE s.id = ${id} AND s.user_id = ${member.id} AND ${isLiving(sql)}
    RETURNING s.id = ${member.session_id} AS was_current`;
  if (revoked === undefined) throw apiError('SESSION_NOT_FOUND');
  return { wasCurrent: revoked.was_current };
}

/**
 * Ends every living session of this member but the one that asks; returns how many there were. Login links and codes
 * that were handed out and not used open none any more, either.
 */
export async function revokeOtherSessions(sql: Queryable, member: Member): Promise<number> {
  const revoked = await sql`
    WITH void AS (
      UPDATE login_tokens SET used_at = now() WHERE user_id = ${member.id} AND used_at IS NULL
    )
    UPDATE sessions s SET revoked_at = now()
    WHERE s.user_id = ${member.id} AND s.id <> ${member.session_id} AND ${isLiving(sql)}`;
  return revoked.count;
}
