import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  exchangeCode,
  getSession,
  revokeOtherSessions,
  showLoginLink,
  useLoginLink,
} from '../../../lib/auth/api.ts';
import { type LoginTokenKind, logInWithToken, makeLoginToken } from '../../../lib/auth/login/login-token.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { APP_HOST, type Call, call, newcomer, SESSION_SECRET, setEnvironment } from '../http/app.ts';

let database: TestDatabase;
let db: postgres.Sql;
let showing: ApiHandler;
let using: ApiHandler;
let exchanging: ApiHandler;
let session: ApiHandler;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 20 });
  ({ handler: showing } = await import('../../../functions/auth/show-login-link.ts'));
  ({ handler: using } = await import('../../../functions/auth/use-login-link.ts'));
  ({ handler: exchanging } = await import('../../../functions/auth/exchange-code.ts'));
  ({ handler: session } = await import('../../../functions/auth/get-session.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const show = (token: string, options: Call = {}) =>
  call(showing, showLoginLink, { params: { token }, ...options });
const use = (token: string, options: Call = {}) =>
  call(using, useLoginLink, { params: { token }, ...options });

/** A member as he is stored, and a link of his. */
async function linkOf(profile: Partial<Record<'username' | 'first_name' | 'last_name', string>> = {}) {
  const id = String(newcomer().id);
  const { username = null, first_name = null, last_name = null } = profile;
  await db`INSERT INTO users ${db({ id, username, first_name, last_name })}`;
  return { id, token: await tokenFor(id, 'link') };
}

async function tokenFor(userId: string, kind: LoginTokenKind): Promise<string> {
  const deps = { sql: db as never, sessionSecrets: [SESSION_SECRET] as const };
  return (await makeLoginToken(deps, { kind, userId })).token;
}

it('opens nothing any more once its member has ended all other sessions; nobody else’s is touched', async () => {
  const [mine, theirs] = [await linkOf(), await linkOf()];
  const [link, code] = [await tokenFor(mine.id, 'link'), await tokenFor(mine.id, 'exchange')];
  const cookie = (await use(mine.token)).cookies[0]?.split(';', 1)[0] ?? '';
  const { handler } = await import('../../../functions/auth/revoke-other-sessions.ts');
  expect((await call(handler, revokeOtherSessions, { cookie })).data).toEqual({ revoked: 0 });
  expect((await use(link)).cookies).toEqual([]);
  const { error } = await call(exchanging, exchangeCode, { body: { code } });
  expect(error?.code).toBe('LOGIN_TOKEN_INVALID');
  expect((await use(theirs.token)).cookies).toHaveLength(1);
});

describe('the page behind a login link', () => {
  it('names the account and offers a button; fetching it, as previews do, uses nothing up', async () => {
    const { id, token } = await linkOf({ username: 'alice', first_name: 'Alice', last_name: 'Liddell' });
    for (let fetched = 0; fetched < 5; fetched += 1) {
      const { status, data, cookies, headers } = await show(token);
      expect([status, cookies]).toEqual([200, []]);
      expect(data).toContain('<b>@alice</b><br><bdi>Alice Liddell</bdi>');
      expect(data).toContain('<form method="post">');
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'referrer-policy': 'same-origin',
      });
      expect(headers['content-security-policy']).toMatch(/form-action 'self'; frame-ancestors 'none'/);
    }
    expect(await db`SELECT FROM sessions WHERE user_id = ${id}`).toHaveLength(0);
    expect((await use(token)).status).toBe(303);
  });

  it('names at least the Telegram id', async () => {
    const { id, token } = await linkOf();
    expect((await show(token)).data).toContain(`<b>Telegram ${id}</b>`);
  });

  it('tells whose it is by what nobody else can have: a name, that anybody takes, stands apart', async () => {
    const mallory = { username: 'mallory', first_name: 'Alice (@alice)', last_name: '\u202eyrollam@\u202c' };
    const { token } = await linkOf(mallory);
    expect((await show(token)).data).toContain(
      `<b>@mallory</b><br><bdi>Alice (@alice) ${mallory.last_name}</bdi>`,
    );
    const { id, token: nameless } = await linkOf({ first_name: 'Alice (@alice)' });
    expect((await show(nameless)).data).toContain(`<b>Telegram ${id}</b><br><bdi>Alice (@alice)</bdi>`);
  });

  it.each([
    ['en-GB,en;q=0.9', 'en', 'This link logs this browser in as', 'This login link is no good'],
    ['es-MX,es;q=0.9,en;q=0.1', 'es', 'inicia la sesión de este navegador', 'Este enlace ya no sirve'],
    ['fr', 'en', 'This link logs this browser in as', 'This login link is no good'],
    [undefined, 'en', 'This link logs this browser in as', 'This login link is no good'],
  ])('speaks the language of %s', async (acceptLanguage, language, whose, over) => {
    const { token } = await linkOf({ first_name: 'Alice' });
    const headers = { 'accept-language': acceptLanguage };
    const { data } = await show(token, { headers });
    expect(data).toContain(`<html lang="${language}">`);
    expect(data).toContain(whose);
    expect((await show('nothing', { headers })).data).toContain(over);
  });

  it('shows a name as text, whatever is in it', async () => {
    const { token } = await linkOf({
      first_name: '<script>alert(1)</script>',
      last_name: '"><img src=x onerror=alert(1)>',
      username: "a'&b",
    });
    const { data } = await show(token);
    expect(data).not.toMatch(/<(script|img)/);
    expect(data).toContain('&#60;script&#62;alert(1)&#60;/script&#62;');
    expect(data).toContain('<b>@a&#39;&#38;b</b>');
  });
});

describe('the button of a login link', () => {
  it('logs in, once: the second time its page says that it is over', async () => {
    const { id, token } = await linkOf({ username: 'bob', first_name: 'Bob', last_name: 'Builder' });
    const { status, headers, cookies } = await use(token);
    expect([status, headers.location]).toEqual([303, '/']);
    const cookie = cookies[0]?.split(';', 1)[0];
    const { data } = await call(session, getSession, { cookie });
    expect(data.member).toMatchObject({ id, username: 'bob', first_name: 'Bob', last_name: 'Builder' });
    expect(data.pds.status).toBe('pending');
    const again = await use(token);
    expect([again.status, again.headers.location, again.cookies]).toEqual([
      303,
      `/api/auth/link/${token}`,
      [],
    ]);
    expect((await show(token)).data).toContain('This login link is no good');
  });

  it('pressed twenty times at once starts one session', async () => {
    const { id, token } = await linkOf();
    const deps = {
      sql: db as never,
      sessionSecrets: [SESSION_SECRET] as const,
      adminIds: [],
      provisioningEnabled: true,
    };
    const wanted = { token, kind: 'link', userAgent: undefined, replaces: undefined } as const;
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => logInWithToken(deps, wanted)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await db`SELECT FROM sessions WHERE user_id = ${id}`).toHaveLength(1);
  });

  it('ends the session that the same browser had', async () => {
    const first = await use((await linkOf()).token);
    const cookie = first.cookies[0]?.split(';', 1)[0] ?? '';
    await use((await linkOf()).token, { cookie });
    expect((await call(session, getSession, { cookie })).status).toBe(401);
  });

  it('cannot be pressed by a page that is not ours', async () => {
    const { token } = await linkOf();
    const foreign: Call['headers'][] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'none' },
    ];
    for (const headers of foreign) {
      const { status, error } = await use(token, { headers });
      expect([status, error?.code]).toEqual([403, 'ORIGIN_FORBIDDEN']);
    }
    const ours = { origin: `http://${APP_HOST}`, 'sec-fetch-site': 'same-origin' };
    expect((await use(token, { headers: ours })).headers.location).toBe('/');
  });

  it('does nothing for a link that is too old', async () => {
    const { id, token } = await linkOf();
    await db`UPDATE login_tokens SET expires_at = now() WHERE user_id = ${id}`;
    expect((await show(token)).data).toContain('This login link is no good');
    expect((await use(token)).headers.location).toBe(`/api/auth/link/${token}`);
    expect(await db`SELECT FROM sessions WHERE user_id = ${id}`).toHaveLength(0);
  });

  it('does nothing for a code, nor does the exchange for a link', async () => {
    const { id, token } = await linkOf();
    const code = await tokenFor(id, 'exchange');
    expect((await show(code)).data).toContain('This login link is no good');
    expect((await use(code)).headers.location).toBe(`/api/auth/link/${code}`);
    const { status, error } = await call(exchanging, exchangeCode, { body: { code: token } });
    expect([status, error?.code]).toEqual([401, 'LOGIN_TOKEN_INVALID']);
    expect((await use(token)).headers.location).toBe('/');
    expect((await call(exchanging, exchangeCode, { body: { code } })).status).toBe(200);
  });

  it.each(['x', '%00', '../../admin', '<script>', 'ü'.repeat(100)])('does nothing for %s', async (token) => {
    expect((await show(token)).data).not.toContain('<script>');
    expect((await use(token)).headers.location).toBe(`/api/auth/link/${encodeURIComponent(token)}`);
  });

  it('counts per network', async () => {
    const { token } = await linkOf();
    await db`
      INSERT INTO rate_limits (bucket, window_start, hits)
      SELECT operation || ':198.51.100.7', date_bin('1 minute', now(), 'epoch') + minute * interval '1 minute', 600
      FROM unnest(ARRAY['showLoginLink', 'useLoginLink', 'exchangeCode']) operation, generate_series(0, 1) minute`;
    const sourceIp = '198.51.100.7';
    expect((await show(token, { sourceIp })).status).toBe(429);
    expect((await use(token, { sourceIp })).status).toBe(429);
    const code = 'A'.repeat(43);
    expect((await call(exchanging, exchangeCode, { body: { code }, sourceIp })).status).toBe(429);
    expect((await use(token)).headers.location).toBe('/');
  });
});
