import type { Secrets } from '../../config.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { NewSession } from '../session/session.ts';
import { hashToken, newSessionToken, tokenHashes } from '../session/session-cookie.ts';
import { type Login, type LoginDeps, letIn, PROFILE_FIELDS, welcome } from './log-in.ts';

/** How a login token comes to its member: as a link from the bot, or as a code from a backend that signs. */
export type LoginTokenKind = 'link' | 'exchange';

/** How long a token is good for, in seconds: a person opens a link, a program hands on a code. */
export const LIFETIME: Readonly<Record<LoginTokenKind, number>> = { link: 10 * 60, exchange: 2 * 60 };
const LOGIN_METHOD = { link: 'link', exchange: 'backend' } as const;

export type LoginToken = { token: string; expiresAt: Date };

/** Makes a token that logs this member in once: 256 random bits, base64url. Only its HMAC is stored. */
export async function makeLoginToken(
  { sql, sessionSecrets }: { sql: Queryable; sessionSecrets: Secrets },
  { kind, userId }: { kind: LoginTokenKind; userId: string },
): Promise<LoginToken> {
  const token = newSessionToken();
  const [row] = await sql<[{ expires_at: Date }]>`
    INSERT INTO login_tokens (token_hash, kind, user_id, expires_at)
    VALUES (${hashToken(sessionSecrets, token)}, ${kind}, ${userId}, now() + make_interval(secs => ${LIFETIME[kind]}))
    RETURNING expires_at`;
  return { token, expiresAt: row.expires_at };
}

/** Whose account a living link opens, as Telegram names him; undefined for one that is unknown, used or too old. */
export async function whoseLink(
  { sql, sessionSecrets }: { sql: Queryable; sessionSecrets: Secrets },
  token: string,
): Promise<LinkedAccount | undefined> {
  const [account] = await sql<LinkedAccount[]>`
    SELECT u.id, u.username, u.first_name, u.last_name
    FROM login_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.token_hash IN ${sql(tokenHashes(sessionSecrets, token))} AND t.kind = 'link'
      AND t.used_at IS NULL AND t.expires_at > now()`;
  return account;
}
export type LinkedAccount = Record<'username' | 'first_name' | 'last_name', string | null> & { id: string };

/**
 * Logs in whom a token is for. In one transaction the token is used up, his session begins and the work that his
 * identity needs is written down. Throws `LOGIN_TOKEN_INVALID` (401) for a token that is unknown, too old, of the other
 * kind or used, also when it is being used at this very moment, and what `letIn` throws.
 */
export function logInWithToken(
  deps: LoginDeps,
  { token, kind, ...session }: { token: string; kind: LoginTokenKind } & Browser,
): Promise<Login> {
  return deps.sql.begin(async (tx) => {
    const userId = await useLoginToken(tx, deps.sessionSecrets, kind, token);
    const arrival = await welcome(tx, deps, { id: Number(userId) }, PROFILE_FIELDS);
    return letIn(tx, deps, arrival, { loginMethod: LOGIN_METHOD[kind], ...session });
  });
}
type Browser = Pick<NewSession, 'userAgent' | 'replaces'>;

async function useLoginToken(
  tx: Transaction,
  sessionSecrets: Secrets,
  kind: LoginTokenKind,
  token: string,
): Promise<string> {
  const [used] = await tx<{ user_id: string }[]>`
    UPDATE login_tokens SET used_at = now()
    WHERE token_hash IN ${tx(tokenHashes(sessionSecrets, token))} AND kind = ${kind}
      AND used_at IS NULL AND expires_at > now()
    RETURNING user_id`;
  if (used === undefined) throw apiError('LOGIN_TOKEN_INVALID');
  return used.user_id;
}
