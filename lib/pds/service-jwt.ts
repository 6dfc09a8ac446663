import type { Did } from '../brands.ts';
import { type RandomBytes, signK256 } from '../identity/keys.ts';

const LIFETIME_SECONDS = 60;

/**
 * A token by which the holder of a DID's `#atproto` key (k256) speaks to one service about one method.
 * https://atproto.com/specs/xrpc#inter-service-authentication-jwt
 */
export function serviceJwt(
  { now, randomBytes }: { now: () => Date; randomBytes: RandomBytes },
  claims: { iss: Did; aud: string; lxm: string; privateKey: Uint8Array },
): string {
  const { iss, aud, lxm, privateKey } = claims;
  const iat = Math.floor(now().getTime() / 1000);
  const jti = Buffer.from(randomBytes(16)).toString('hex');
  const signed = [
    { typ: 'JWT', alg: 'ES256K' },
    { iat, exp: iat + LIFETIME_SECONDS, iss, aud, lxm, jti },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = signK256(privateKey, new TextEncoder().encode(signed));
  return `${signed}.${Buffer.from(signature).toString('base64url')}`;
}
