import { createHash, createHmac } from 'node:crypto';
import type { Secrets } from '../../config.ts';
import type { Queryable } from '../../db/connect.ts';
import { hashToken, LOGIN_SECONDS, newSessionToken, tokenHashes } from '../session/session-cookie.ts';

/**
 * What binds a login that begins here to the one that comes back. The browser's cookie is the only secret; all else but
 * the state, which travels through the issuer, is made of both.
 */
export type LoginState = {
  /** The value of the cookie `__Host-login`. */
  browser: string;
  state: string;
  nonce: string;
  /** Of PKCE: shown to the issuer together with the code (RFC 7636). */
  verifier: string;
};

type Deps = { sql: Queryable; sessionSecrets: Secrets };

/** A login of this browser. One that has several under way, in several tabs, has one cookie for all of them. */
export function newLoginState(browser: string = newSessionToken()): LoginState {
  return loginState(browser, newSessionToken());
}

function loginState(browser: string, state: string): LoginState {
  const derive = (purpose: string) =>
    createHmac('sha256', browser).update(`${purpose}:${state}`).digest('base64url');
  return { browser, state, nonce: derive('nonce'), verifier: derive('pkce') };
}

/** What the issuer is shown of the verifier beforehand, by the method S256. */
export function challengeOf({ verifier }: Pick<LoginState, 'verifier'>): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

/** Remembers for ten minutes that this login began, and where it is to end. */
export async function storeLoginState(
  { sql, sessionSecrets }: Deps,
  { state, browser }: LoginState,
  returnTo: string,
): Promise<void> {
  await sql`
    INSERT INTO login_states (state_hash, browser_hash, return_to, expires_at)
    VALUES (${hashToken(sessionSecrets, state)}, ${hashToken(sessionSecrets, browser)}, ${returnTo},
      now() + make_interval(secs => ${LOGIN_SECONDS}))`;
}

/**
 * The login that this browser began under this state, used up with this call: of any number at the same time one gets
 * it. Without a `login` it is over, used or unknown; where it is to end is known of those that this browser began.
 */
export async function useLoginState(
  { sql, sessionSecrets }: Deps,
  { state, browser }: { state: string; browser: string | undefined },
): Promise<{ returnTo: string; login?: LoginState }> {
  if (browser === undefined) return { returnTo: '/' };
  const isThis = sql`state_hash IN ${sql(tokenHashes(sessionSecrets, state))}
    AND browser_hash IN ${sql(tokenHashes(sessionSecrets, browser))}`;
  const [row] = await sql<{ return_to: string; is_good: boolean }[]>`
    WITH used AS (
      UPDATE login_states SET used_at = now() WHERE ${isThis} AND used_at IS NULL AND expires_at > now()
      RETURNING true)
    SELECT return_to, EXISTS (SELECT FROM used) AS is_good FROM login_states WHERE ${isThis}`;
  const { return_to: returnTo = '/', is_good: isGood = false } = row ?? {};
  return { returnTo, ...(isGood && { login: loginState(browser, state) }) };
}
