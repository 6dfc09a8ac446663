import { createHmac } from 'node:crypto';
import {
  type CryptoKey,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { identify } from '../../../lib/auth/oidc/identify.ts';
import { authorizationUrl, openIssuer } from '../../../lib/auth/oidc/issuer.ts';
import { newLoginState } from '../../../lib/auth/oidc/login-state.ts';
import { cookieOf, expectRefused, openOidc, visitor } from './oidc-browser.ts';
import { CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, type TestIssuer } from './test-issuer.ts';

let oidc: Awaited<ReturnType<typeof openOidc>>;
beforeAll(async () => {
  oidc = await openOidc();
});
afterEach(() => {
  oidc.issuer.wrong.answers = {};
  delete oidc.issuer.wrong.token;
});
afterAll(() => oidc?.close());

const now = () => Math.floor(Date.now() / 1000);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
type Change = (claims: JWTPayload) => JWTPayload;
const say = (change: Change) => {
  oidc.issuer.wrong.token = (claims, issuer) => issuer.sign(change(claims));
};

describe('an ID token', () => {
  it.each<[string, Change]>([
    ['id is text', (claims) => ({ ...claims, id: String(claims.id) })],
    ['aud is a number', (claims) => ({ ...claims, aud: Number(claims.aud) as unknown as string })],
    ['aud is a list of one', (claims) => ({ ...claims, aud: [CLIENT_ID] })],
    ['aud is a list of one number', (claims) => ({ ...claims, aud: [Number(CLIENT_ID)] as never })],
    ['aud names others too, and azp us', (claims) => ({ ...claims, aud: ['x', CLIENT_ID], azp: CLIENT_ID })],
    ['azp is a number', (claims) => ({ ...claims, azp: Number(CLIENT_ID) })],
    ['there is no nonce', ({ nonce: _, ...claims }) => claims],
    ['iat is 29 seconds ahead', (claims) => ({ ...claims, iat: now() + 29 })],
    ['it was issued four minutes ago', (claims) => ({ ...claims, iat: now() - 240 })],
    ['there are claims that nobody knows', (claims) => ({ ...claims, phone_number: '1', amr: ['x'] })],
  ])('is good when %s', async (_, change) => {
    say(change);
    const user = visitor();
    expect(cookieOf(await oidc.logInThere('/', user))).toBeDefined();
    expect(await oidc.memberOf(user)).toMatchObject({ username: user.username });
  });

  const refusing = (name: string, change: Change): [string, string, Change] => [
    name,
    'LOGIN_REFUSED',
    change,
  ];
  it.each<[string, string, Change]>([
    ['of another issuer', 'LOGIN_REFUSED', (claims) => ({ ...claims, iss: 'https://oauth.telegram.org' })],
    ['for another client', 'LOGIN_REFUSED', (claims) => ({ ...claims, aud: '654321' })],
    ['for nobody', 'LOGIN_REFUSED', (claims) => ({ ...claims, aud: [] })],
    ['for others too', 'LOGIN_REFUSED', (claims) => ({ ...claims, aud: ['654321', CLIENT_ID] })],
    ['for another party', 'LOGIN_REFUSED', (claims) => ({ ...claims, azp: '654321' })],
    ['of another login', 'LOGIN_REFUSED', (claims) => ({ ...claims, nonce: 'x' })],
    ['not good yet', 'LOGIN_REFUSED', (claims) => ({ ...claims, nbf: now() + 600 })],
    ['over', 'LOGIN_EXPIRED', (claims) => ({ ...claims, exp: now() - 31 })],
    ['old', 'LOGIN_EXPIRED', (claims) => ({ ...claims, iat: now() - 331 })],
    ['from the future', 'LOGIN_FROM_THE_FUTURE', (claims) => ({ ...claims, iat: now() + 60 })],
    ...['iss', 'aud', 'exp', 'iat', 'id'].map((name) =>
      refusing(`without ${name}`, (claims) => ({ ...claims, [name]: undefined })),
    ),
    ['with a date that is none', 'LOGIN_REFUSED', (claims) => ({ ...claims, iat: 'now' as never })],
    ...[0, -5, 1.5, 2 ** 53, '', '0', '-5', '5x', '9'.repeat(17), null, {}, [5]].map((id) =>
      refusing(`about ${JSON.stringify(id)}`, (claims) => ({ ...claims, id })),
    ),
    ['with a name that is none', 'LOGIN_REFUSED', (claims) => ({ ...claims, name: { first: 'x' } })],
    ['with a name that cannot be stored', 'LOGIN_REFUSED', (claims) => ({ ...claims, name: 'a\0' })],
    [
      'with an endless name',
      'LOGIN_REFUSED',
      (claims) => ({ ...claims, preferred_username: 'x'.repeat(256) }),
    ],
  ])('is refused when it is %s', async (_, code, change) => {
    say(change);
    const user = visitor();
    expectRefused(await oidc.logInThere('/', user), `/?login_error=${code}`);
    expect(await oidc.memberOf(user)).toBeUndefined();
  });

  it.each<[string, NonNullable<TestIssuer['wrong']['token']>]>([
    ['nobody', (claims) => `${encode({ alg: 'none' })}.${encode(claims)}.`],
    ['our own secret (HS256)', (claims) => hmacToken(claims, CLIENT_SECRET)],
    [
      'its public key, taken for a secret (HS256)',
      async (claims) => hmacToken(claims, await publicKeyText()),
    ],
    ['another key under the same name', async (claims) => strangersToken(claims, 'RS256', 'local')],
    ['a key that the issuer does not have', async (claims) => strangersToken(claims, 'RS256', 'other')],
    ['another algorithm (PS256)', async (claims) => strangersToken(claims, 'PS256', 'local')],
    ['an elliptic curve (ES256)', async (claims) => strangersToken(claims, 'ES256', 'local')],
    ['a signature of something else', async (claims, issuer) => forged(await issuer.sign(claims))],
    ['no token at all', () => 'hello'],
    ['three dots', () => '...'],
  ])('is refused when it is signed by %s', async (_, token) => {
    oidc.issuer.wrong.token = token;
    const user = visitor();
    expectRefused(await oidc.logInThere('/', user), '/?login_error=LOGIN_REFUSED');
    expect(await oidc.memberOf(user)).toBeUndefined();
  });

  it('is accepted once, whoever brings it', async () => {
    let first = '';
    oidc.issuer.wrong.token = async ({ nonce: _, ...claims }, issuer) => {
      first ||= await issuer.sign(claims);
      return first;
    };
    expect(cookieOf(await oidc.logInThere())).toBeDefined();
    expectRefused(await oidc.logInThere(), '/?login_error=LOGIN_REPLAYED');
  });

  it('names a member by id, however often its subject changes', async () => {
    const user = visitor();
    for (const sub of ['a', 'b', '123456789']) {
      say((claims) => ({ ...claims, sub }));
      expect(cookieOf(await oidc.logInThere('/', user))).toBeDefined();
    }
    expect(await oidc.db`SELECT id FROM users WHERE username = ${user.username}`).toHaveLength(1);
    expect(await oidc.db`SELECT id FROM users WHERE id = '123456789'`).toHaveLength(0);
  });

  it('changes of a member what it speaks of, and nothing where it does not speak of him', async () => {
    const user = visitor();
    say((claims) => ({ ...claims, picture: 'https://t.me/i/1.jpg' }));
    await oidc.logInThere('/', user);
    const { id } = (await oidc.memberOf(user)) ?? {};
    say(({ iss, aud, iat, exp, id: same }) => ({ iss, aud, iat, exp, id: same }) as JWTPayload);
    expect(cookieOf(await oidc.logInThere('/', user))).toBeDefined();
    expect(await oidc.memberOf(user)).toMatchObject({
      ...{ id, username: user.username, first_name: 'Vera', photo_url: 'https://t.me/i/1.jpg' },
    });
    say((claims) => ({ ...claims, name: 'Vera New', preferred_username: undefined }));
    await oidc.logInThere('/', user);
    expect(await oidc.memberOf(user)).toMatchObject({
      ...{ username: null, first_name: 'Vera New', photo_url: null },
    });
  });
});

describe('an issuer', () => {
  const client = (more: object = {}) =>
    openIssuer({
      ...{ issuer: oidc.issuer.url, clientId: CLIENT_ID, redirectUri: REDIRECT_URI },
      ...{ fetch, now: () => new Date(), timeoutMs: 200 },
      ...more,
    });
  /** An issuer that is nowhere: it says this about itself. */
  const saying = (issuer: string, about: object) =>
    client({ issuer, fetch: async () => Response.json({ issuer, ...about }) });
  const unavailable = expect.objectContaining({ code: 'UNAVAILABLE', status: 503 });

  it('that does not answer in time is given up', async () => {
    oidc.issuer.wrong.answers['openid-configuration'] = () => {};
    await expect(authorizationUrl(client(), newLoginState())).rejects.toEqual(unavailable);
    oidc.issuer.wrong.answers = { token: (_, response) => response.writeHead(200).write('{') };
    await expect(
      identify(client(), { login: newLoginState(), code: 'code', clientSecret: CLIENT_SECRET }),
    ).rejects.toEqual(unavailable);
  });

  const HTTPS = {
    authorization_endpoint: 'https://op.example/auth',
    token_endpoint: 'https://op.example/token',
    jwks_uri: 'https://op.example/jwks',
  };
  it('over https is believed to be all over https', async () => {
    const url = await authorizationUrl(saying('https://op.example', HTTPS), newLoginState());
    expect(url).toMatch(/^https:\/\/op\.example\/auth\?response_type=code&/);
  });

  it.each([
    ...Object.keys(HTTPS).flatMap((name) => [
      [name, 'http://op.example/x'],
      [name, 'javascript:alert(1)'],
      [name, 'op.example'],
      [name, undefined],
    ]),
    ['issuer', 'https://other.example'],
    ['issuer', 'https://op.example/'],
  ])('over https is not believed when its %s is %s', async (name, value) => {
    const bad = saying('https://op.example', { ...HTTPS, [name as string]: value });
    await expect(authorizationUrl(bad, newLoginState())).rejects.toEqual(unavailable);
  });

  it('is asked again after an hour, and at once after it failed', async () => {
    let time = Date.now();
    const asking = client({ now: () => new Date(time) });
    oidc.issuer.wrong.answers['openid-configuration'] = (_, response) => response.writeHead(500).end();
    await expect(authorizationUrl(asking, newLoginState())).rejects.toEqual(unavailable);
    oidc.issuer.wrong.answers = {};
    oidc.issuer.questions.length = 0;
    for (const minutes of [0, 59, 2, 1]) {
      time += minutes * 60_000;
      await authorizationUrl(asking, newLoginState());
    }
    expect(oidc.issuer.questions).toEqual(['openid-configuration', 'openid-configuration']);
  });
});

function hmacToken(claims: JWTPayload, secret: string): string {
  const signed = `${encode({ alg: 'HS256', kid: 'local' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

async function publicKeyText(): Promise<string> {
  const { keys } = (await (await fetch(`${oidc.issuer.url}/jwks`)).json()) as JSONWebKeySet;
  return exportSPKI((await importJWK(keys[0] as JWK, 'RS256', { extractable: true })) as CryptoKey);
}

async function strangersToken(claims: JWTPayload, alg: string, kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair(alg);
  return new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(privateKey);
}

function forged(token: string): string {
  const [header, payload = '', signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return [header, encode({ ...claims, id: 4711 }), signature].join('.');
}
