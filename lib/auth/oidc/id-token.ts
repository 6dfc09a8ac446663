import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import * as z from 'zod/mini';
import { AppError } from '../../app-error.ts';
import { apiError, type ErrorCode } from '../../http/error-codes.ts';
import { type LoginProfile, PROFILE_FIELDS, type ProfileField } from '../login/log-in.ts';
import { storableText } from '../login/storable-text.ts';

export type OidcIdentity = {
  profile: LoginProfile;
  /** Fields that the token does not speak of. */
  unsaid: readonly ProfileField[];
  /** Tells this token from every other. */
  signature: string;
};

type Trust = { issuer: string; clientId: string; keys: JWTVerifyGetKey; now: () => Date };

/** How long after it was issued a token is good, and how far the issuer's clock may be ahead; seconds. */
const FRESH = 5 * 60;
const CLOCK_SKEW = 30;

/** Telegram writes ids as numbers or as text. */
const idOrText = z.union([z.number(), z.string()]);
const telegramId = z.union([z.number(), z.string().check(z.regex(/^[1-9]\d{0,15}$/))]);
const claims = z.object({
  id: z.pipe(z.pipe(telegramId, z.transform(Number)), z.int().check(z.positive())),
  aud: z.union([idOrText, z.array(idOrText)]),
  azp: z.optional(idOrText),
  nonce: z.optional(z.string()),
  name: z.optional(storableText(255)),
  preferred_username: z.optional(storableText(255)),
  picture: z.optional(storableText(2048)),
});

/**
 * Who an ID token is about, after it is sure that this issuer signed it just now, for us and for this login. `sub` is
 * another number for each client: a member is known by `id`.
 * Throws, all 401, `LOGIN_EXPIRED`, `LOGIN_FROM_THE_FUTURE`, and `LOGIN_REFUSED` for all else; `UNAVAILABLE` (503)
 * while the issuer's keys cannot be had. OpenID Connect Core 1.0, 3.1.3.7; https://core.telegram.org/bots/telegram-login
 */
export async function verifyIdToken(trust: Trust, idToken: string, nonce: string): Promise<OidcIdentity> {
  const said = claims.safeParse(await signedClaims(trust, idToken));
  if (!said.success) throw refused(`its claims are not of the right form: ${said.error.issues[0]?.path}`);
  const { id, aud, azp, name, preferred_username: username, picture } = said.data;
  const audience = [aud].flat().map(String);
  const isOurs = azp === undefined ? audience.length === 1 : String(azp) === trust.clientId;
  if (!audience.includes(trust.clientId) || !isOurs) throw refused('it is for another client');
  if (said.data.nonce !== undefined && said.data.nonce !== nonce) throw refused('it is of another login');
  return {
    // The whole name: which part of it is the first, nobody says.
    profile: { id, username: username || undefined, first_name: name, photo_url: picture || undefined },
    // Everybody has a name: a token without one says nothing about him.
    unsaid: name === undefined ? PROFILE_FIELDS : [],
    signature: idToken,
  };
}

async function signedClaims({ issuer, keys, now }: Trust, idToken: string): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(idToken, keys, {
      issuer,
      algorithms: ['RS256'],
      requiredClaims: ['exp', 'iat', 'aud'],
      maxTokenAge: FRESH,
      clockTolerance: CLOCK_SKEW,
      currentDate: now(),
    });
    return payload;
  } catch (error) {
    if (error instanceof AppError) throw error;
    // What jose hangs on its errors holds the claims: only the message goes on.
    const { message = 'it cannot be read' } = error instanceof errors.JOSEError ? error : {};
    throw refused(message, codeFor(error));
  }
}

function codeFor(error: unknown): ErrorCode {
  if (error instanceof errors.JWTExpired) return 'LOGIN_EXPIRED';
  const { claim, reason } = error instanceof errors.JWTClaimValidationFailed ? error : {};
  return claim === 'iat' && reason === 'check_failed' ? 'LOGIN_FROM_THE_FUTURE' : 'LOGIN_REFUSED';
}

function refused(why: string, code: ErrorCode = 'LOGIN_REFUSED'): AppError {
  return apiError(code, { cause: new Error(`The ID token was refused: ${why}`) });
}
