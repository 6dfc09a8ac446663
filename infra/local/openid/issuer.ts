import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { answerJson } from '../http-api/answer-json.ts';
import type { LocalRoute } from '../http-api/gateway.ts';
import { demoUser, readForm, type TelegramUser } from '../telegram.ts';
import { type Asked, openCodes } from './codes.ts';

export type IssuerOptions = {
  /** The app's origin: the issuer lies below it. */
  origin: string;
  clientId: string;
  clientSecret: string;
  /** Where browsers may be sent back to. */
  redirectUri: string;
  now?: () => Date;
  /** In place of {@link Issuer.sign}, for tests of what a client refuses. */
  sign?: (claims: JWTPayload, issuer: Issuer) => Promise<string> | string;
};
export type Issuer = {
  url: string;
  route: LocalRoute;
  sign(claims: JWTPayload): Promise<string>;
};

const PATH = '/_local/openid';
const KEY_ID = 'local';
const TOKEN_SECONDS = 600;

/**
 * Stands in for Telegram's OpenID Connect: discovery, a dialog in which one chooses who logs in
 * (infra/local/page/telegram.html), codes bound by PKCE, and RS256 tokens with Telegram's claims.
 * @see https://core.telegram.org/bots/telegram-login
 */
export async function openIssuer({ now = () => new Date(), ...options }: IssuerOptions): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const keys = [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' }];
  const url = options.origin + PATH;
  const codes = openCodes(now);
  const sign = (claims: JWTPayload) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: KEY_ID }).sign(privateKey);

  async function token(form: URLSearchParams, authorization: string | undefined, response: ServerResponse) {
    if (!isClient(options, authorization)) return answerJson(response, 401, { error: 'invalid_client' });
    const granted = codes.redeem(form);
    if (form.get('grant_type') !== 'authorization_code' || !granted)
      return answerJson(response, 400, { error: 'invalid_grant' });
    const iat = Math.floor(now().getTime() / 1000);
    const { nonce, client_id: aud } = granted;
    const claims = { iss: url, aud, iat, exp: iat + TOKEN_SECONDS, nonce, ...claimsOf(granted.user) };
    const idToken = await (options.sign ?? ((said) => sign(said)))(claims, issuer);
    return answerJson(response, 200, { token_type: 'Bearer', expires_in: TOKEN_SECONDS, id_token: idToken });
  }

  const issuer: Issuer = {
    url,
    sign,
    async route(request, response, path) {
      if (!path.startsWith(`${PATH}/`)) return false;
      const query = new URL(request.url ?? '', url).searchParams;
      switch (`${request.method} ${path.slice(PATH.length)}`) {
        case 'GET /.well-known/openid-configuration':
          answerJson(response, 200, aboutOf(url));
          break;
        case 'GET /jwks':
          answerJson(response, 200, { keys });
          break;
        case 'GET /authorize':
          if (readAsked(query, options)) redirect(response, `/telegram.html?${query}`);
          else answerJson(response, 400, { error: 'invalid_request' });
          break;
        case 'POST /authorize': {
          const [asked, form] = [readAsked(query, options), await readForm(request)];
          if (!asked || !form) answerJson(response, 400, { error: 'invalid_request' });
          else if (form.has('cancel')) redirect(response, backTo(asked, { error: 'access_denied' }));
          else redirect(response, backTo(asked, { code: codes.issue({ ...asked, user: demoUser(form) }) }));
          break;
        }
        case 'POST /token':
          await token(
            (await readForm(request)) ?? new URLSearchParams(),
            request.headers.authorization,
            response,
          );
          break;
        default:
          answerJson(response, 404, { error: 'not_found' });
      }
      return true;
    },
  };
  return issuer;
}

function aboutOf(url: string) {
  return {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'profile'],
    code_challenge_methods_supported: ['S256'],
  };
}

/** What a client asks for, if it is one that this issuer knows and asks as it should. */
function readAsked(query: URLSearchParams, { clientId, redirectUri }: IssuerOptions): Asked | undefined {
  const { client_id, redirect_uri, code_challenge, state, nonce, ...others } = Object.fromEntries(query);
  const isKnown = client_id === clientId && redirect_uri === redirectUri;
  const isOidc = others.response_type === 'code' && others.scope?.split(' ').includes('openid');
  if (!isKnown || !isOidc || others.code_challenge_method !== 'S256' || !code_challenge || !state)
    return undefined;
  return { client_id, redirect_uri, code_challenge, state, nonce };
}

function backTo({ redirect_uri, state }: Asked, answer: Record<string, string>): string {
  return `${redirect_uri}?${new URLSearchParams({ ...answer, state })}`;
}

function isClient({ clientId, clientSecret }: IssuerOptions, authorization: string | undefined): boolean {
  const [, encoded = ''] = /^Basic (\S+)$/.exec(authorization ?? '') ?? [];
  const pair = Buffer.from(encoded, 'base64').toString().split(':');
  return pair.map(decodeURIComponent).join(':') === `${clientId}:${clientSecret}`;
}

function claimsOf({ id, first_name, last_name, username, photo_url }: TelegramUser) {
  return {
    sub: createHash('sha256').update(`subject ${id}`).digest('hex'),
    id,
    name: [first_name, last_name].filter(Boolean).join(' '),
    preferred_username: username,
    picture: photo_url,
  };
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location, 'cache-control': 'no-store' }).end();
}
