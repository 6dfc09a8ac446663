import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import * as z from 'zod/mini';
import { askIssuer } from './ask-issuer.ts';
import { type OidcIdentity, verifyIdToken } from './id-token.ts';
import type { About, Issuer } from './issuer.ts';
import type { LoginState } from './login-state.ts';

const tokens = z.object({ id_token: z.string() });
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/**
 * Who logged in, for the code that his browser brought back. A code is good once: after any failure the login has to
 * begin anew. Throws as {@link askIssuer} and {@link verifyIdToken} do.
 */
export async function identify(
  issuer: Issuer,
  { login, code, clientSecret }: { login: LoginState; code: string; clientSecret: string },
): Promise<OidcIdentity> {
  const about = await issuer.about();
  const { id_token: idToken } = await askIssuer(issuer, about.token_endpoint, tokens, {
    method: 'POST',
    headers: { authorization: basic(issuer.clientId, clientSecret) },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: issuer.redirectUri,
      client_id: issuer.clientId,
      code_verifier: login.verifier,
    }),
  });
  return verifyIdToken({ ...issuer, keys: keysOf(issuer, about) }, idToken, login.nonce);
}

const KNOWN_KEYS = new WeakMap<About, JWTVerifyGetKey>();

/** The issuer's keys: read when they are needed, and anew after ten minutes or when a token names an unknown one. */
function keysOf(issuer: Issuer, about: About): JWTVerifyGetKey {
  const fetchKeys = async (url: string) => Response.json(await askIssuer(issuer, url, keySet));
  const keys =
    KNOWN_KEYS.get(about) ?? createRemoteJWKSet(new URL(about.jwks_uri), { [customFetch]: fetchKeys });
  KNOWN_KEYS.set(about, keys);
  return keys;
}

/** RFC 6749, 2.3.1: what OpenID Connect takes for granted where a client has not chosen another way. */
function basic(clientId: string, clientSecret: string): string {
  const pair = [clientId, clientSecret].map(encodeURIComponent).join(':');
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
