import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { demoTelegramId } from '../../../infra/local/telegram.ts';
import { getSession, listSessions } from '../../../lib/auth/api.ts';
import { newLoginState, storeLoginState, useLoginState } from '../../../lib/auth/oidc/login-state.ts';
import { connect } from '../../../lib/db/connect.ts';
import { call, logIn, SESSION_SECRET } from '../http/app.ts';
import { choose, cookieOf, expectRefused, GUEST, locationOf, openOidc, visitor } from './oidc-browser.ts';
import { BAD_ANSWERS, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI } from './test-issuer.ts';

let oidc: Awaited<ReturnType<typeof openOidc>>;
beforeAll(async () => {
  oidc = await openOidc();
});
afterEach(() => {
  oidc.issuer.wrong.answers = {};
});
afterAll(() => oidc?.close());

const countStates = async () => (await oidc.db`SELECT FROM login_states`).length;

describe('a login with OpenID Connect', () => {
  it('leads to the issuer with all that binds it to this browser, by names that OpenID Connect gives them', async () => {
    const { authorize, browser } = await oidc.begin();
    const url = new URL(authorize);
    expect(url.origin + url.pathname).toBe(`${oidc.issuer.url}/authorize`);
    const { state, nonce, code_challenge, ...others } = Object.fromEntries(url.searchParams);
    expect(others).toEqual({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile',
      code_challenge_method: 'S256',
    });
    for (const value of [state, nonce, code_challenge]) expect(value).toMatch(/^[\w-]{43}$/);
    expect(browser).toMatch(/^__Host-login=[\w-]{43}$/);
  });

  it('gives the browser a cookie for ten minutes, and a second login of it the same', async () => {
    const { cookies } = await oidc.start();
    expect(cookies).toEqual([
      expect.stringMatching(/^__Host-login=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=600$/),
    ]);
    const first = await oidc.begin();
    const second = await oidc.begin({}, first.browser);
    expect(second.browser).toBe(first.browser);
    expect(second.authorize).not.toBe(first.authorize);
    for (const { authorize } of [first, second]) {
      const answer = await oidc.comeBack(await choose(authorize, visitor()), first.browser);
      expect(cookieOf(answer)).toBeDefined();
    }
  });

  it('ends in the member, his session, the work for his identity and the place that he came from', async () => {
    const user = visitor();
    const answer = await oidc.logInThere('/welcome?a=1#b', user);
    expect([answer.status, locationOf(answer)]).toEqual([302, '/welcome?a=1#b']);
    expect(answer.cookies).toEqual([
      expect.stringMatching(
        /^__Host-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=2592000$/,
      ),
    ]);
    expect(await oidc.memberOf(user)).toMatchObject({
      username: user.username,
      first_name: 'Vera',
      last_name: null,
    });
    const work = await oidc.db`
      SELECT action FROM pds_provisioning_queue WHERE user_id = ${String(demoTelegramId(user.username))}`;
    expect(work).toEqual([{ action: 'create' }]);
    const cookie = cookieOf(answer) ?? '';
    const { handler: look } = await import('../../../functions/auth/get-session.ts');
    const { data } = await call(look, getSession, { cookie });
    expect([data.member.username, data.pds.status]).toEqual([user.username, 'pending']);
    const { handler: list } = await import('../../../functions/auth/list-sessions.ts');
    expect((await call(list, listSessions, { cookie })).data).toMatchObject([{ login_method: 'oidc' }]);
  });

  it('ends the session that the same browser had', async () => {
    const before = await logIn();
    const { authorize, browser } = await oidc.begin();
    const query = await choose(authorize, visitor());
    const { handler: look } = await import('../../../functions/auth/get-session.ts');
    const answer = await oidc.comeBack(query, `${browser}; ${before}`);
    expect(cookieOf(answer)).toBeDefined();
    expect((await call(look, getSession, { cookie: before })).status).toBe(401);
  });

  it('is sent back with a reason when the member came too often', async () => {
    const user = visitor();
    await oidc.logInThere('/', user);
    await oidc.db`UPDATE rate_limits SET hits = 300 WHERE bucket = ${`login:${demoTelegramId(user.username)}`}`;
    expectRefused(await oidc.logInThere('/', user), '/?login_error=RATE_LIMITED');
  });

  it('may come from the page of an allowed origin and end there', async () => {
    expect(locationOf(await oidc.logInThere(`${GUEST}/shop?x=1`))).toBe(`${GUEST}/shop?x=1`);
  });

  it.each(['//evil.example', 'https://evil.example/', '/\\evil.example', 'javascript:alert(1)', ''])(
    'does not end at %j: 400, and nothing begins',
    async (returnTo) => {
      const before = await countStates();
      const { status, error, cookies } = await oidc.start({ return_to: returnTo });
      expect([status, error?.fields, cookies]).toEqual([400, ['return_to'], []]);
      expect(await countStates()).toBe(before);
    },
  );

  it('takes parameters that an issuer adds, and none that a page misspells', async () => {
    const { authorize, browser } = await oidc.begin();
    const query = {
      ...(await choose(authorize, visitor())),
      iss: oidc.issuer.url,
      session_state: 'x',
      'a.b[]': '',
    };
    expect(cookieOf(await oidc.comeBack(query, browser))).toBeDefined();
    const { status, error } = await oidc.start({ returnTo: '/' });
    expect([status, error?.fields]).toEqual([400, ['returnTo']]);
  });

  it('asks the issuer where everything is once, not for each login', async () => {
    await oidc.logInThere();
    oidc.issuer.questions.length = 0;
    await oidc.logInThere();
    expect(oidc.issuer.questions).toEqual(['authorize', 'token']);
  });

  it.each([
    ['no client', { TELEGRAM_OIDC_CLIENT_ID: '' }],
    ['no secret', { TELEGRAM_OIDC_CLIENT_SECRET: '' }],
  ])('is off where there is %s', async (_, settings) => {
    await oidc.openRoutes(settings);
    const off = await oidc.comeBack({ state: 'x' });
    expect([off.status, off.error?.code]).toEqual([404, 'LOGIN_METHOD_OFF']);
    if ('TELEGRAM_OIDC_CLIENT_ID' in settings) {
      expect((await oidc.start()).error?.code).toBe('LOGIN_METHOD_OFF');
    }
    await oidc.openRoutes();
  });
});

describe('a state', () => {
  it('is good for one login, also when the browser comes back ten times at once', async () => {
    const { authorize, browser } = await oidc.begin({ return_to: '/here' });
    const query = await choose(authorize, visitor());
    const answers = await Promise.all(Array.from({ length: 10 }, () => oidc.comeBack(query, browser)));
    const [entered, ...others] = answers.sort((a, b) => b.cookies.length - a.cookies.length);
    expect([entered?.cookies.length, entered && locationOf(entered)]).toEqual([1, '/here']);
    for (const other of others) expectRefused(other, '/here?login_error=LOGIN_STATE_INVALID');
    expectRefused(await oidc.comeBack(query, browser), '/here?login_error=LOGIN_STATE_INVALID');
  });

  it('is good once however many processes ask for it at the same time', async () => {
    const sql = connect(oidc.database.apiUrl, { max: 10 });
    const deps = { sql, sessionSecrets: [SESSION_SECRET] as const };
    const login = newLoginState();
    await storeLoginState(deps, login, '/here');
    const uses = await Promise.all(Array.from({ length: 20 }, () => useLoginState(deps, login)));
    expect(uses.filter((use) => use.login)).toEqual([{ returnTo: '/here', login }]);
    expect(uses.filter((use) => !use.login)).toEqual(Array(19).fill({ returnTo: '/here' }));
    await sql.end();
  });

  it('is good for the browser that began only, and is not used up by another', async () => {
    const [mine, theirs] = [
      await oidc.begin({ return_to: '/mine' }),
      await oidc.begin({ return_to: '/theirs' }),
    ];
    const query = await choose(mine.authorize, visitor());
    for (const cookie of [theirs.browser, '', '__Host-login=', `__Host-login=${'A'.repeat(43)}`]) {
      expectRefused(await oidc.comeBack(query, cookie), '/?login_error=LOGIN_STATE_INVALID');
    }
    expect(cookieOf(await oidc.comeBack(query, mine.browser))).toBeDefined();
  });

  it('is over after ten minutes', async () => {
    const { authorize, browser } = await oidc.begin({ return_to: '/late' });
    const query = await choose(authorize, visitor());
    const [row] = await oidc.db`
      SELECT extract(epoch FROM expires_at - created_at)::int AS seconds FROM login_states
      ORDER BY created_at DESC LIMIT 1`;
    expect(row).toEqual({ seconds: 600 });
    await oidc.db`UPDATE login_states SET expires_at = now()`;
    expectRefused(await oidc.comeBack(query, browser), '/late?login_error=LOGIN_STATE_INVALID');
  });

  it.each(['unknown', 'x'.repeat(43), "' OR true --", '💥'])(
    'that was never made is refused: %j',
    async (state) => {
      const { browser } = await oidc.begin();
      expectRefused(await oidc.comeBack({ state, code: 'x' }, browser), '/?login_error=LOGIN_STATE_INVALID');
    },
  );

  it.each([undefined, 'x'.repeat(201), 'a\0'])('of a wrong form is named: %j', async (state) => {
    const query: Record<string, string> = state === undefined ? {} : { state };
    const { status, error } = await oidc.comeBack(query);
    expect([status, error?.fields]).toEqual([400, ['state']]);
  });

  it('outlives the rotation of SESSION_SECRET', async () => {
    const { authorize, browser } = await oidc.begin();
    await oidc.openRoutes({ SESSION_SECRET: `another secret of more than 32 characters\n${SESSION_SECRET}` });
    expect(cookieOf(await oidc.comeBack(await choose(authorize, visitor()), browser))).toBeDefined();
    await oidc.openRoutes();
  });

  it('stands nowhere in the clear: neither it, nor the cookie, nor anything that is made of them', async () => {
    const { authorize, browser } = await oidc.begin();
    const query = await choose(authorize, visitor());
    const {
      state = '',
      nonce = '',
      code_challenge = '',
    } = Object.fromEntries(new URL(authorize).searchParams);
    const secrets = [state, nonce, code_challenge, browser.split('=')[1] ?? '', query.code ?? ''];
    const digests = secrets.map((secret) => createHash('sha256').update(secret).digest('hex'));
    const forms = [...secrets, ...digests, ...secrets.map((secret) => Buffer.from(secret).toString('hex'))];
    const bytes = secrets.map((secret) => Buffer.from(secret, 'base64url').toString('hex'));
    const answer = await oidc.comeBack(query, browser);
    expect(cookieOf(answer)).toBeDefined();
    const rows = await oidc.db<{ row: string }[]>`
      SELECT s::text AS row FROM login_states s UNION ALL SELECT s::text FROM sessions s`;
    const text = rows.map(({ row }) => row).join('\n');
    expect([...forms, ...bytes].filter((form) => text.includes(form))).toEqual([]);
  });
});

describe('an issuer that refuses', () => {
  it('because the person said no: nobody is in, and the state is used', async () => {
    const { authorize, browser } = await oidc.begin({ return_to: '/a' });
    const query = await choose(authorize, { ...visitor(), cancel: 'yes' });
    expect(query.error).toBe('access_denied');
    expectRefused(await oidc.comeBack(query, browser), '/a?login_error=LOGIN_REFUSED');
    expectRefused(await oidc.comeBack(query, browser), '/a?login_error=LOGIN_STATE_INVALID');
  });

  it('because the code is made up, or belongs to another login: PKCE', async () => {
    const [one, two] = [await oidc.begin(), await oidc.begin()];
    const [first, second] = [await choose(one.authorize, visitor()), await choose(two.authorize, visitor())];
    expectRefused(
      await oidc.comeBack({ ...first, code: second.code ?? '' }, one.browser),
      '/?login_error=LOGIN_REFUSED',
    );
    expectRefused(
      await oidc.comeBack({ ...second, code: 'made-up' }, two.browser),
      '/?login_error=LOGIN_REFUSED',
    );
  });

  it('because neither code nor error came back', async () => {
    const { authorize, browser } = await oidc.begin();
    const { state = '' } = await choose(authorize, visitor());
    expectRefused(await oidc.comeBack({ state }, browser), '/?login_error=LOGIN_REFUSED');
  });

  it('leaves the member free to begin again, when our answer was lost or the login failed half-way', async () => {
    const user = visitor();
    const { authorize, browser } = await oidc.begin();
    oidc.issuer.wrong.answers.token = (request) => request.socket.destroy();
    const query = await choose(authorize, user);
    expectRefused(await oidc.comeBack(query, browser), '/?login_error=UNAVAILABLE');
    expect(await oidc.memberOf(user)).toBeUndefined();
    oidc.issuer.wrong.answers = {};
    expect(cookieOf(await oidc.logInThere('/', user))).toBeDefined();
  });
});

describe('the log of a login', () => {
  it('says why it was refused and names none of its secrets', async () => {
    const lines: string[] = [];
    const written = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((line) => lines.push(String(line)) > 0),
    );
    const secrets: string[] = [];
    const goWrong = async (
      answers: typeof oidc.issuer.wrong.answers,
      change: Record<string, string> = {},
    ) => {
      oidc.issuer.wrong.answers = answers;
      const { authorize, browser } = await oidc.begin();
      const query = { ...(await choose(authorize, visitor())), ...change };
      secrets.push(
        ...Object.values(query),
        ...Object.values(Object.fromEntries(new URL(authorize).searchParams)),
      );
      secrets.push(
        browser.split('=')[1] ?? '',
        cookieOf(await oidc.comeBack(query, browser))?.split('=')[1] ?? '',
      );
    };
    await oidc.openRoutes({ POWERTOOLS_LOG_LEVEL: 'DEBUG' });
    await goWrong({});
    await goWrong({}, { code: 'a-code-that-nobody-made' });
    await goWrong({ token: (_, response) => response.end('{"id_token": "eyJ-not-a-token"}') });
    await goWrong({ token: (request) => request.socket.destroy() });
    for (const spy of written) spy.mockRestore();
    await oidc.openRoutes();
    const text = lines.join('');
    for (const sign of ['logged in', 'invalid_grant', 'Invalid Compact JWS', 'does not answer']) {
      expect(text).toContain(sign);
    }
    const known = [CLIENT_ID, REDIRECT_URI, 'code', 'openid profile', 'S256', ''];
    const kept = [...secrets.filter((secret) => !known.includes(secret)), CLIENT_SECRET, 'eyJ-not-a-token'];
    expect(kept.filter((secret) => text.includes(secret))).toEqual([]);
  });
});

describe('an issuer that is broken', () => {
  it.each(Object.entries(BAD_ANSWERS))('answers a code with %s: nobody is in', async (_, answer) => {
    oidc.issuer.wrong.answers.token = answer;
    const user = visitor();
    expectRefused(await oidc.logInThere('/', user), '/?login_error=UNAVAILABLE');
    expect(await oidc.memberOf(user)).toBeUndefined();
  });

  it.each(Object.entries(BAD_ANSWERS))('shows its keys with %s: nobody is in', async (_, answer) => {
    await oidc.openRoutes();
    oidc.issuer.wrong.answers.jwks = answer;
    expectRefused(await oidc.logInThere(), '/?login_error=UNAVAILABLE');
    oidc.issuer.wrong.answers = {};
    expect(cookieOf(await oidc.logInThere())).toBeDefined();
  });

  it.each(Object.entries(BAD_ANSWERS))(
    'says where it is with %s: the browser stays, and nothing begins',
    async (_, answer) => {
      await oidc.openRoutes();
      const before = await countStates();
      oidc.issuer.wrong.answers['openid-configuration'] = answer;
      const refused = await oidc.start({ return_to: `${GUEST}/a?b=c` });
      expectRefused(refused, `${GUEST}/a?b=c&login_error=UNAVAILABLE`);
      expect(await countStates()).toBe(before);
      oidc.issuer.wrong.answers = {};
      expect(cookieOf(await oidc.logInThere())).toBeDefined();
    },
  );

  it('is not there at all', async () => {
    await oidc.openRoutes({ TELEGRAM_OIDC_ISSUER: 'http://127.0.0.1:9' });
    expectRefused(await oidc.start(), '/?login_error=UNAVAILABLE');
    await oidc.openRoutes();
  });
});
