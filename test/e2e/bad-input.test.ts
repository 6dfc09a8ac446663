import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signWidgetPayload, type TelegramUser, type WidgetPayload } from '../../infra/local/telegram.ts';
import { CONTRACTS } from '../../lib/docs/contracts.ts';
import { type Answer, type AskOptions, ask } from './ask.ts';
import { expectHostileRequestsRefused } from './hostile-requests.ts';
import { logIn } from './member-journey.ts';
import { newcomer, openPlatform, type RunningPlatform, untilActive } from './running-platform.ts';

const LOGIN = '/api/auth/telegram/widget';
const STRANGERS_TOKEN = '987654321:AAH-somebody-elses-bot-token-0123456789';

/** The only origin but our own whose pages may call us. */
const GUEST = 'http://guest.localhost:5173';

let running: RunningPlatform;
/** An active member, and the administrator. */
let member: TelegramUser & { cookie: string; did: string; handle: string };
let adminCookie: string;

beforeAll(async () => {
  running = await openPlatform({ settings: { PDS_ALLOWED_ORIGINS: GUEST } });
  const user = newcomer('patient_zero');
  const { cookie } = await logIn(running.platform, user);
  ({ cookie: adminCookie } = await logIn(running.platform, { id: running.platform.adminTelegramId }));
  await untilActive(running, { timeoutMs: 150_000 });
  const [row] = await running.sql<{ did: string; handle: string }[]>`
    SELECT pds_did AS did, pds_handle AS handle FROM user_pds_mapping WHERE user_id = ${String(user.id)}`;
  if (!row) throw new Error('no identity');
  member = { ...user, ...row, cookie };
}, 300_000);
afterAll(() => running?.close());

const post = (path: string, options: AskOptions) => ask(running.platform, 'POST', path, options);
const get = (path: string, options: AskOptions = {}) => ask(running.platform, 'GET', path, options);
const signed = (user: TelegramUser, secondsAgo = 0) =>
  signWidgetPayload(running.platform.botToken, user, new Date(Date.now() - secondsAgo * 1000));

function expectRefusal(answer: Answer, status: number, code: string, fields?: string[]): void {
  expect([answer.status, answer.json?.error]).toEqual([
    status,
    {
      code,
      message: expect.any(String),
      request_id: answer.headers['x-request-id'],
      ...(fields && { fields }),
    },
  ]);
  expect(answer.json.success).toBe(false);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers['set-cookie']).toBeUndefined();
}

/** Nothing of him is anywhere: no account, no session, no identity, no work. */
async function expectUnknown(id: number): Promise<void> {
  const { sql } = running;
  const [rows] = await sql`
    SELECT (SELECT count(*) FROM users WHERE id = ${String(id)}) AS users,
      (SELECT count(*) FROM sessions WHERE user_id = ${String(id)}) AS sessions,
      (SELECT count(*) FROM user_pds_mapping WHERE user_id = ${String(id)}) AS identities,
      (SELECT count(*) FROM pds_provisioning_queue WHERE user_id = ${String(id)}) AS work`;
  expect(rows).toEqual({ users: 0, sessions: 0, identities: 0, work: 0 });
}

describe('a login that Telegram did not just make', () => {
  const BAD: Record<string, [code: string, (user: TelegramUser) => WidgetPayload]> = {
    'signed by another bot': ['LOGIN_SIGNATURE_INVALID', (user) => signWidgetPayload(STRANGERS_TOKEN, user)],
    'with a made-up signature': [
      'LOGIN_SIGNATURE_INVALID',
      (user) => ({ ...signed(user), hash: 'ab'.repeat(32) }),
    ],
    'with another name than was signed': [
      'LOGIN_SIGNATURE_INVALID',
      (user) => ({ ...signed(user), username: 'somebody_else' }),
    ],
    "with another member's signature": [
      'LOGIN_SIGNATURE_INVALID',
      (user) => ({ ...signed(newcomer()), id: user.id }),
    ],
    'with a field that was not signed': [
      'LOGIN_SIGNATURE_INVALID',
      (user) => ({ ...signed(user), photo_url: 'https://example.com/me.jpg' }),
    ],
    'with its date moved to now': [
      'LOGIN_SIGNATURE_INVALID',
      (user) => ({ ...signed(user, 3600), auth_date: Math.floor(Date.now() / 1000) }),
    ],
    'that is stale': ['LOGIN_EXPIRED', (user) => signed(user, 5 * 60 + 5)],
    'from the future': ['LOGIN_FROM_THE_FUTURE', (user) => signed(user, -60)],
  };

  it.each(Object.entries(BAD))('%s is refused and makes no account', async (_, [code, make]) => {
    const user = newcomer('mallory');
    expectRefusal(await post(LOGIN, { body: make(user) }), 401, code);
    await expectUnknown(user.id);
  });

  it('is good for one session only, also when it comes ten times at once', async () => {
    const payload = signed(newcomer('replayed'));
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(LOGIN, { body: payload })));
    const [first, ...more] = answers.filter(({ status }) => status === 200);
    expect([first?.status, more]).toEqual([200, []]);
    for (const refused of answers.filter((answer) => answer !== first)) {
      expectRefusal(refused, 401, 'LOGIN_REPLAYED');
    }
    expectRefusal(await post(LOGIN, { body: payload }), 401, 'LOGIN_REPLAYED');
    const sessions = await running.sql`SELECT FROM sessions WHERE user_id = ${String(payload.id)}`;
    expect(sessions).toHaveLength(1);
  });
});

describe('a body that is not what the route takes', () => {
  const user = newcomer('eve');
  const WRONG: Record<string, [fields: string[], change: Record<string, unknown>]> = {
    'an unknown field': [['is_admin'], { is_admin: true }],
    'several unknown fields': [['role', 'tier'], { role: 'admin', tier: 'gold' }],
    'a text for the id': [['id'], { id: '7000000001' }],
    'a negative id': [['id'], { id: -5 }],
    'an id that is no whole number': [['id'], { id: 1.5 }],
    'a number for a name': [['username'], { username: 5 }],
    'null for a name': [['first_name'], { first_name: null }],
    'a list for a name': [['last_name'], { last_name: ['a'] }],
    'an over-long name': [['first_name'], { first_name: 'x'.repeat(256) }],
    'an over-long URL': [['photo_url'], { photo_url: `https://example.com/${'x'.repeat(2048)}` }],
    'a signature that is no hash': [['hash'], { hash: "' OR 1=1 --" }],
    'no signature': [['hash'], { hash: undefined }],
    'no date and no id': [['id', 'auth_date'], { id: undefined, auth_date: undefined }],
    'a NUL in a name': [['first_name'], { first_name: 'a\0b' }],
  };

  it.each(Object.entries(WRONG))('has %s: 400 names it', async (_, [fields, change]) => {
    expectRefusal(await post(LOGIN, { body: { ...signed(user), ...change } }), 400, 'INPUT_INVALID', fields);
    await expectUnknown(user.id);
  });

  const text = (change: string) => JSON.stringify(signed(user)).replace('"username":"eve"', change);
  const BROKEN: Record<string, () => string | Uint8Array> = {
    'is not UTF-8': () =>
      Buffer.concat([Buffer.from('{"username":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
    'is UTF-16': () => Buffer.from('\ufeff{"id":5}', 'utf16le'),
    'is longer than 16 KiB': () => text(`"username":"${'x'.repeat(17_000)}"`),
    'is no JSON': () => '{"id":5',
    'is two values': () => '{} {}',
  };
  it.each(Object.entries(BROKEN))('%s: 400 names the body', async (_, rawBody) => {
    expectRefusal(await post(LOGIN, { rawBody: rawBody() }), 400, 'BODY_INVALID', ['body']);
  });

  it.each(['null', '[]', '"text"', '5', ''])('is %j, no object: 400 names the body', async (rawBody) => {
    expectRefusal(await post(LOGIN, { rawBody }), 400, 'INPUT_INVALID', ['body']);
  });

  it('is no application/json: 415', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expectRefusal(await post(LOGIN, { rawBody: 'id=5', headers: form }), 415, 'CONTENT_TYPE_UNSUPPORTED');
  });

  it('is larger than API Gateway takes: 413, before any of our code', async () => {
    expect((await post(LOGIN, { rawBody: Buffer.alloc(10 * 1024 * 1024 + 1, 'x') })).status).toBe(413);
  });

  it('comes to a route that takes none: 400 names it', async () => {
    const { cookie } = member;
    for (const path of ['/api/pds/create-backup', '/api/pds/retry-provision']) {
      expectRefusal(await post(path, { cookie, body: { userId: '5' } }), 400, 'BODY_UNEXPECTED', ['body']);
    }
  });

  it('names a member in another way than by his Telegram id: 400', async () => {
    for (const userId of [123456789, '', 'alice', '1; DROP TABLE users', null, ['5'], '9'.repeat(21)]) {
      const answer = await post('/api/pds/provision', { cookie: adminCookie, body: { userId } });
      expectRefusal(answer, 400, 'INPUT_INVALID', ['userId']);
    }
  });

  it('names a session by something that is no id: 400', async () => {
    for (const id of ['1', '%00', '%ed%a0%80', 'a%2Fb', '..;', "'", 'x'.repeat(2_000)]) {
      const answer = await ask(running.platform, 'DELETE', `/api/auth/sessions/${id}`, {
        cookie: member.cookie,
      });
      if (id === '%ed%a0%80') expect(answer.status).toBe(400);
      else expectRefusal(answer, 400, 'INPUT_INVALID', ['id']);
    }
  });

  it.each([
    ['/api/pds/provisioning-log?limit=101', 'limit'],
    ['/api/pds/provisioning-log?limit=0', 'limit'],
    ['/api/pds/provisioning-log?limit=ten', 'limit'],
    ['/api/pds/provisioning-log?offset=-1', 'offset'],
    ['/api/pds/provisioning-log?page=2', 'page'],
    ['/api/pds/health-checks?limit=101', 'limit'],
    ['/api/pds/health-checks?offset=5', 'offset'],
    ['/api/pds/info?userId=5', 'userId'],
  ])('GET %s: 400 names %s', async (path, field) => {
    expectRefusal(await get(path, { cookie: member.cookie }), 400, 'INPUT_INVALID', [field]);
  });
});

/** Who may ask for which route: authorization.test.ts. */
describe('a request without the right to ask', () => {
  const living = (cookie: string) => get('/api/auth/session', { cookie });

  it.each([
    ['is 30 days old', 'expires_at = now()'],
    ['was not used for 7 days', "last_seen_at = now() - interval '7 days'"],
    ['was revoked', 'revoked_at = now()'],
  ])('has a session that %s: 401', async (_, change) => {
    const user = newcomer();
    const { cookie } = await logIn(running.platform, user);
    expect((await living(cookie)).status).toBe(200);
    await running.sql`UPDATE sessions SET ${running.sql.unsafe(change)} WHERE user_id = ${String(user.id)}`;
    expectRefusal(await living(cookie), 401, 'SESSION_REQUIRED');
  });

  it('asks, as an administrator, for a member who never was here: 404', async () => {
    const answer = await post('/api/pds/provision', { cookie: adminCookie, body: { userId: '4040404' } });
    expectRefusal(answer, 404, 'MEMBER_NOT_FOUND');
    await expectUnknown(4040404);
  });

  it('is an administrator no more once the settings do not name him', async () => {
    await running.sql`UPDATE users SET role = 'admin' WHERE id = ${String(member.id)}`;
    const { cookie } = member;
    const answer = await post('/api/pds/provision', { cookie, body: { userId: String(member.id) } });
    expectRefusal(answer, 403, 'ADMIN_REQUIRED');
  });

  it('comes from a page that is not ours: 403', async () => {
    const { cookie } = member;
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of foreign) {
      const answer = await post('/api/pds/create-backup', { cookie, headers });
      expectRefusal(answer, 403, 'ORIGIN_FORBIDDEN');
    }
  });

  it.each(
    CONTRACTS.filter(({ path }) => path.startsWith('/api/')).map(
      ({ method, path }) => [method, path] as const,
    ),
  )(
    'is told before it asks %s %s whether its page may: 403, but for the allowed origin',
    async (method, path) => {
      const preflight = (origin: string) =>
        ask(running.platform, 'OPTIONS', path, {
          headers: { origin, 'access-control-request-method': method },
        });
      const { status, headers, text } = await preflight(GUEST);
      expect([status, text, headers['access-control-allow-origin']]).toEqual([204, '', GUEST]);
      expect(headers['access-control-allow-methods']?.split(', ')).toContain(method);
      const refusal = await preflight('https://evil.example');
      expectRefusal(refusal, 403, 'ORIGIN_FORBIDDEN');
      expect([refusal.headers['access-control-allow-origin'], refusal.headers.vary]).toEqual([
        undefined,
        'Origin',
      ]);
    },
  );

  it('comes from the page of the allowed origin: that one may, and reads the answer', async () => {
    const { cookie } = await logIn(running.platform, newcomer());
    const headers = { origin: GUEST, 'sec-fetch-site': 'same-site' };
    const answer = await ask(running.platform, 'DELETE', '/api/auth/sessions', { cookie, headers });
    expect([answer.status, answer.json.data]).toEqual([200, { revoked: 0 }]);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': GUEST,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
  });
});

describe('what means harm', () => {
  it.each(CONTRACTS.filter(({ host }) => host === 'app'))(
    'is refused with a code by $method $path',
    async (contract) => {
      const own = await logIn(running.platform, newcomer());
      await expectHostileRequestsRefused({ running, memberCookie: own.cookie, adminCookie }, contract);
      expect((await get('/api/auth/session', { cookie: own.cookie })).status).toBe(200);
    },
  );
});

describe('a host that has nothing to say', () => {
  const DID_JSON = '/.well-known/did.json';
  const ATPROTO_DID = '/.well-known/atproto-did';
  const didHost = () => member.did.slice('did:web:'.length);

  it('serves the identities of the members, each at its place', async () => {
    const document = await get(DID_JSON, { host: didHost() });
    expect([document.status, document.json.id]).toEqual([200, member.did]);
    const did = await get(ATPROTO_DID, { host: member.handle });
    expect([did.status, did.text]).toEqual([200, member.did]);
  });

  it.each([
    ['nobody.pnptv.test'],
    ['www.pnptv.test'],
    ['a.b.pnptv.test'],
    ['pnptv.test'],
    ['pnptv.test.evil.example'],
    ['evil.example'],
    ['localhost'],
  ])('%s serves no identity: 404 that nobody keeps', async (host) => {
    for (const path of [DID_JSON, ATPROTO_DID]) {
      const port = new URL(running.platform.url).port;
      expectRefusal(await get(path, { host: `${host}:${port}` }), 404, 'HOST_UNKNOWN');
    }
  });

  it("serves no DID document at a handle's name, and no handle at a DID's", async () => {
    expectRefusal(await get(DID_JSON, { host: member.handle }), 404, 'HOST_UNKNOWN');
    expectRefusal(await get(ATPROTO_DID, { host: didHost() }), 404, 'HOST_UNKNOWN');
  });

  it.each(CONTRACTS.filter(({ host }) => host === 'app').map(({ method, path }) => [method, path] as const))(
    "%s %s on a member's host: 404, whoever asks",
    async (method, path) => {
      for (const host of [didHost(), member.handle, 'evil.example']) {
        const answer = await ask(running.platform, method, path, { host, cookie: adminCookie });
        expectRefusal(answer, 404, 'NOT_FOUND');
      }
    },
  );

  it("has neither pages nor the stand-in for Telegram on a member's host", async () => {
    const host = member.handle;
    expect((await get('/', { host })).status).toBe(404);
    expect((await post('/_local/telegram/login', { host, rawBody: 'username=alice' })).status).toBe(404);
  });
});
