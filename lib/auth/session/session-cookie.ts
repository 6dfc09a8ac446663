import { createHmac, randomBytes } from 'node:crypto';
import type { Secrets } from '../../config.ts';

/** `__Host-`: set over TLS, by this very host, for all its paths; no sibling host can plant one (RFC 6265bis). */
const NAME = '__Host-session';
const LOGIN_NAME = '__Host-login';
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Lax';
const TOKEN = /^[\w-]{43}$/;

/** A session ends 30 days after the login, and (session.ts) 7 days after its last use. OWASP ASVS 5.0, 7.3. */
export const SESSION_SECONDS = 30 * 86_400;
/** One that goes by bearer ends an hour after the login: a page's memory is less safe than an HttpOnly cookie. */
export const BEARER_SECONDS = 60 * 60;

/** How long a login may be under way at another site, in seconds. */
export const LOGIN_SECONDS = 10 * 60;

/** A new session's secret: 256 random bits, base64url. It lives in the member's cookie and nowhere else. */
export function newSessionToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What the database keeps of a new session's token: whoever reads it there cannot log in with it. */
export function hashToken([current]: Secrets, token: string): Uint8Array {
  return createHmac('sha256', current).update(token).digest();
}

/** What it may have kept of an older one's: its HMAC under each secret that is still accepted. */
export function tokenHashes(secrets: Secrets, token: string): Uint8Array[] {
  return secrets.map((secret) => hashToken([secret], token));
}

/** The Set-Cookie value that hands a session to the browser. */
export function sessionCookie(token: string, maxAgeSeconds: number): string {
  return `${NAME}=${token}; ${ATTRIBUTES}; Max-Age=${maxAgeSeconds}`;
}

/** The Set-Cookie value that takes it away. */
export function clearedSessionCookie(): string {
  return `${NAME}=; ${ATTRIBUTES}; Max-Age=0`;
}

/** The session token of an `Authorization: Bearer` header (RFC 6750); undefined for any that we did not make. */
export function readBearerToken(authorization: string): string | undefined {
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return token !== undefined && TOKEN.test(token) ? token : undefined;
}

/** The session token among a request's cookies; undefined when there is none that we could have made. */
export function readSessionToken(cookies: readonly string[] = []): string | undefined {
  return readCookie(NAME, cookies);
}

/** The Set-Cookie value by which a browser is known when a login that it began comes back. */
export function loginCookie(secret: string): string {
  return `${LOGIN_NAME}=${secret}; ${ATTRIBUTES}; Max-Age=${LOGIN_SECONDS}`;
}

/** What {@link loginCookie} gave this browser, if it still has it. */
export function readLoginCookie(cookies: readonly string[]): string | undefined {
  return readCookie(LOGIN_NAME, cookies);
}

function readCookie(name: string, cookies: readonly string[]): string | undefined {
  const prefix = `${name}=`;
  const token = cookies.find((cookie) => cookie.startsWith(prefix))?.slice(prefix.length);
  return token !== undefined && TOKEN.test(token) ? token : undefined;
}
