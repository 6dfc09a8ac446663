import type { Fragment } from 'postgres';
import type { Secrets } from '../../config.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { hashToken, newSessionToken, SESSION_SECONDS, tokenHashes } from './session-cookie.ts';

/** By what members are known. */
export type Sessions = {
  sql: Sql;
  sessionSecrets: Secrets;
  /** Telegram ids of the administrators: who is among them now is one, whatever he was at his login. */
  adminIds: readonly string[];
};

/** Who is logged in. */
export type Member = {
  /** Telegram id. */
  id: string;
  username: string | null;
  first_name: string | null;
  last_name: string | null;
  photo_url: string | null;
  role: 'member' | 'admin';
  session_id: string;
  expires_at: Date;
};

/**
 * A query on behalf of whoever is logged in:
 * ```ts
 * const [identity] = await me`SELECT pds_did FROM user_pds_mapping WHERE user_id = me.id`;
 * ```
 * `me` is his row ({@link Member}). The session is checked by the same statement, so a read costs one round trip and
 * cannot forget the check: without a living session there is no `me`, the query sees nothing, and the call throws
 * `SESSION_REQUIRED` (401). It also notes that the session is in use, at most hourly.
 */
export type Me = <Row extends object>(
  strings: TemplateStringsArray,
  ...values: readonly MeValue[]
) => Promise<Row[]>;
export type MeValue = string | number | boolean | Date | null | Fragment;

/** Binds `me` to the session with this token. `role` admin: for anybody else it throws `ADMIN_REQUIRED` (403). */
export function asMember(
  { sql, sessionSecrets, adminIds }: Sessions,
  token: string,
  role: 'member' | 'admin' = 'member',
): Me {
  const hmacs = tokenHashes(sessionSecrets, token);
  return async <Row extends object>(strings: TemplateStringsArray, ...values: readonly MeValue[]) => {
    const query = sql(strings, ...values);
    const rows = await sql<({ my_role: Member['role']; found: true | null } & Row)[]>`
      WITH me AS (
        SELECT u.id, u.username, u.first_name, u.last_name, u.photo_url, s.id AS session_id, s.expires_at,
          CASE WHEN u.id = ANY (string_to_array(${adminIds.join()}, ',')) THEN 'admin' ELSE 'member' END AS role
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.token_hmac IN ${sql(hmacs)} AND ${isLiving(sql)}
      ), seen AS (
        UPDATE sessions SET last_seen_at = now() FROM me
        WHERE sessions.id = me.session_id AND last_seen_at < now() - interval '1 hour'
      )
      SELECT me.role AS my_role, answer.*
      FROM me LEFT JOIN LATERAL (SELECT true AS found, rows.* FROM (${query}) rows) answer
        ON true`;
    const [first] = rows;
    if (first === undefined) throw apiError('SESSION_REQUIRED');
    if (role === 'admin' && first.my_role !== 'admin') throw apiError('ADMIN_REQUIRED');
    return rows
      .filter(({ found }) => found)
      .map(({ my_role: _role, found: _found, ...row }) => row as unknown as Row);
  };
}

/**
 * That a session, under its alias `s`, lives: not revoked, not 30 days old (session-cookie.ts), and used in the last 7
 * days. Its use is noted at most hourly, so an idle one may end up to an hour before these 7 days are over, never after.
 */
export function isLiving(sql: Queryable): Fragment {
  return sql`s.revoked_at IS NULL AND s.expires_at > now() AND s.last_seen_at > now() - interval '7 days'`;
}

/** Who is logged in, for a request that changes something: one statement, before anything else happens. */
export async function whoIsThere(me: Me): Promise<Member> {
  const [member] = await me<Member>`SELECT me.*`;
  if (member === undefined) throw apiError('SESSION_REQUIRED');
  return member;
}

export type NewSession = {
  userId: string;
  loginMethod: 'widget' | 'miniapp' | 'oidc' | 'link' | 'backend';
  userAgent: string | undefined;
  /** The token of the session that the same browser had until now. */
  replaces?: string | undefined;
  /** Seconds until it ends, used or not. Default {@link SESSION_SECONDS}. */
  lifetime?: number;
};

/**
 * Starts a session and returns its token, which is stored nowhere: it belongs into the member's cookie. The session
 * that it replaces ends (OWASP ASVS 5.0, 7.2.4).
 */
export async function startSession(
  { tx, sessionSecrets }: { tx: Queryable; sessionSecrets: Secrets },
  { userId, loginMethod, userAgent, replaces, lifetime = SESSION_SECONDS }: NewSession,
): Promise<{ token: string; expiresAt: Date }> {
  const token = newSessionToken();
  const replaced = replaces === undefined ? [null] : tokenHashes(sessionSecrets, replaces);
  const [session] = await tx<[{ expires_at: Date }]>`
    WITH replaced AS (
      UPDATE sessions SET revoked_at = now()
      WHERE token_hmac IN ${tx(replaced)} AND revoked_at IS NULL
    )
    INSERT INTO sessions (user_id, token_hmac, login_method, user_agent, expires_at)
    VALUES (${userId}, ${hashToken(sessionSecrets, token)}, ${loginMethod}, ${userAgent?.slice(0, 500) ?? null},
            now() + make_interval(secs => ${lifetime}))
    RETURNING expires_at`;
  return { token, expiresAt: session.expires_at };
}

/**
 * Gives a living session a new token, as part of the caller's transaction; the one that this request came with ends at
 * once (OWASP ASVS 5.0, 7.2.4). Throws `SESSION_REQUIRED` (401) when that is not its token any more: another request
 * renewed it, or ended the session, at this very moment.
 */
export async function renewToken(
  tx: Queryable,
  sessionSecrets: Secrets,
  { sessionId, token }: { sessionId: string; token: string },
): Promise<string> {
  const next = newSessionToken();
  const renewed = await tx`
    UPDATE sessions s SET token_hmac = ${hashToken(sessionSecrets, next)}
    WHERE s.id = ${sessionId} AND s.token_hmac IN ${tx(tokenHashes(sessionSecrets, token))} AND ${isLiving(tx)}`;
  if (renewed.count === 0) throw apiError('SESSION_REQUIRED');
  return next;
}

/** Ends a session at once and for good. */
export async function endSession(sql: Queryable, sessionId: string): Promise<void> {
  await sql`UPDATE sessions SET revoked_at = now() WHERE id = ${sessionId} AND revoked_at IS NULL`;
}
