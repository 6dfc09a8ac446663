import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { getSession, loginWidget, logout } from '../../../lib/auth/api.ts';
import { asMember } from '../../../lib/auth/session/session.ts';
import { newSessionToken } from '../../../lib/auth/session/session-cookie.ts';
import { readSession } from '../../../lib/auth/session/show-session.ts';
import type { Sql } from '../../../lib/db/connect.ts';
import { contract } from '../../../lib/http/contract.ts';
import { type ApiHandler, route } from '../../../lib/http/route.ts';
import { silentLog } from '../../../lib/observability/log.ts';
import * as pds from '../../../lib/pds/api.ts';
import { readHealthChecks } from '../../../lib/pds/health-checks.ts';
import { readInfo } from '../../../lib/pds/info.ts';
import { readLogPage } from '../../../lib/pds/log.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { type Call, call, logIn, SESSION_SECRET, setEnvironment, signedLogin } from '../http/app.ts';

let database: TestDatabase;
let db: postgres.Sql;
let session: ApiHandler;
let end: ApiHandler;
let cookie: string;

const look = (options: Call = { cookie }) => call(session, getSession, options);
const verdict = async (answer: ReturnType<typeof call>) => {
  const { status, error } = await answer;
  return error ? [status, error.code] : [status];
};
const REFUSED = [401, 'SESSION_REQUIRED'];
/** The session of the test's own login: it is the newest. */
const change = (assignments: string) =>
  db.unsafe(
    `UPDATE sessions SET ${assignments} WHERE id = (SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1)`,
  );

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 2, onnotice: () => {} });
  ({ handler: session } = await import('../../../functions/auth/get-session.ts'));
  ({ handler: end } = await import('../../../functions/auth/logout.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});
beforeEach(async () => {
  cookie = await logIn();
});

describe('a session', () => {
  it('lives 30 days after the login, however much it is used', async () => {
    const { data } = await look();
    expect((Date.parse(data.expires_at) - Date.now()) / 86_400_000).toBeCloseTo(30, 2);
    await change(`expires_at = now() + interval '10 seconds'`);
    expect(await verdict(look())).toEqual([200]);
    expect((await look()).data.expires_at < new Date(Date.now() + 10_000).toISOString()).toBe(true);
    await change(`expires_at = now()`);
    expect(await verdict(look())).toEqual(REFUSED);
  });

  it('ends 7 days after its last use', async () => {
    await change(`last_seen_at = now() - interval '6 days 23:59:50'`);
    expect(await verdict(look())).toEqual([200]);
    await change(`last_seen_at = now() - interval '6 days 23:59:50'`);
    expect([await verdict(look()), await verdict(look())]).toEqual([[200], [200]]); // the use has made it young again
    await change(`last_seen_at = now() - interval '7 days'`);
    expect(await verdict(look())).toEqual(REFUSED);
    expect(await verdict(look())).toEqual(REFUSED);
  });

  it('notes its use, but at most once an hour', async () => {
    const seen = async () =>
      (await db`SELECT last_seen_at FROM sessions ORDER BY created_at DESC LIMIT 1`)[0]?.last_seen_at;
    await change(`last_seen_at = now() - interval '61 minutes'`);
    await look();
    expect(Date.now() - (await seen()).getTime()).toBeLessThan(5000);
    await change(`last_seen_at = now() - interval '59 minutes'`);
    const before = await seen();
    await look();
    expect(await seen()).toEqual(before); // so an idle session ends up to an hour early, and never late
  });

  it('is over at once when the member logs out, and its cookie is taken away', async () => {
    const { status, cookies } = await call(end, logout, { cookie });
    expect(status).toBe(200);
    expect(cookies).toEqual(['__Host-session=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0']);
    expect(await verdict(look())).toEqual(REFUSED);
    expect(await verdict(call(end, logout, { cookie }))).toEqual(REFUSED);
  });

  it('is not ended by a foreign page', async () => {
    const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect(await verdict(call(end, logout, { cookie, headers }))).toEqual([403, 'ORIGIN_FORBIDDEN']);
    expect(await verdict(look())).toEqual([200]);
  });

  it('of one login is not touched by the end of another', async () => {
    const other = await logIn();
    await call(end, logout, { cookie: other });
    expect(await verdict(look())).toEqual([200]);
  });

  it.each([
    ['no cookie', undefined],
    ['an empty one', '__Host-session='],
    ['a guess', `__Host-session=${'A'.repeat(43)}`],
    ['something over-long', `__Host-session=${'A'.repeat(5000)}`],
    ['SQL', `__Host-session=' OR 1=1 --`],
    ['another name', `session=${'A'.repeat(43)}`],
  ])('is not there with %s', async (_, sent) => {
    expect(await verdict(look({ cookie: sent }))).toEqual(REFUSED);
  });

  it('is found among other cookies, but not under another name', async () => {
    expect(await verdict(look({ cookie: cookie.replace('__Host-', '__Secure-') }))).toEqual(REFUSED);
  });

  it('takes the secret that it was made with', async () => {
    const sql = postgres(database.apiUrl, { max: 1 }) as unknown as Sql;
    const token = cookie.split('=')[1] ?? '';
    const me = (secret: string) =>
      asMember({ sql, sessionSecrets: [secret], adminIds: [] }, token)`SELECT me.id`;
    await expect(me(SESSION_SECRET)).resolves.toHaveLength(1);
    await expect(me(`${SESSION_SECRET}!`)).rejects.toMatchObject({ code: 'SESSION_REQUIRED' });
    await sql.end();
  });
});

describe('the secret of sessions', () => {
  const NEW = 'the next secret, which has more than 32 characters';
  const THIRD = 'another secret that has more than 32 characters';

  /** The routes as Lambdas that start with this value of SESSION_SECRET. */
  async function startWith(value: string) {
    vi.resetModules();
    setEnvironment(database, { SESSION_SECRET: value });
    const { handler: getting } = await import('../../../functions/auth/get-session.ts');
    const { handler: entering } = await import('../../../functions/auth/login-widget.ts');
    const { handler: leaving } = await import('../../../functions/auth/logout.ts');
    return {
      look: (sent: string) => verdict(call(getting, getSession, { cookie: sent })),
      end: (sent: string) => verdict(call(leaving, logout, { cookie: sent })),
      async logIn(before?: string) {
        const { cookies } = await call(entering, loginWidget, { body: signedLogin(), cookie: before });
        return cookies[0]?.split(';', 1)[0] ?? '';
      },
    };
  }
  afterAll(() => {
    vi.resetModules();
    setEnvironment(database);
  });

  it('is rotated without logging anybody out, however late a Lambda starts anew', async () => {
    const before = await startWith(SESSION_SECRET);
    const announced = await startWith(`${SESSION_SECRET}\n${NEW}`);
    const turned = await startWith(`${NEW}\n${SESSION_SECRET}\n`);
    const after = await startWith(NEW);

    // Some know the new secret already, and sign with the old one as all others do.
    const sessions = [await before.logIn(), await announced.logIn()];
    for (const lambda of [before, announced, turned]) {
      for (const session of sessions) expect(await lambda.look(session)).toEqual([200]);
    }
    // Some sign with the new one already, and all know it.
    const young = await turned.logIn();
    for (const lambda of [announced, turned, after]) expect(await lambda.look(young)).toEqual([200]);
    expect(await before.look(young)).toEqual(REFUSED); // the reason for announcing it first
    // The old one has gone, and with it what was left of its sessions.
    for (const session of sessions) expect(await after.look(session)).toEqual(REFUSED);
  });

  it('is one of the two: a token under neither is refused, and so is what the database knows of one', async () => {
    const two = await startWith(`${NEW}\r\n${SESSION_SECRET}`);
    const foreign = await (await startWith(THIRD)).logIn();
    expect(await two.look(foreign)).toEqual(REFUSED);
    expect(await two.look(`__Host-session=${newSessionToken()}`)).toEqual(REFUSED);
    const hmac = (await db`SELECT token_hmac FROM sessions ORDER BY created_at DESC LIMIT 1`)[0]?.token_hmac;
    expect(await two.look(`__Host-session=${hmac.toString('base64url')}`)).toEqual(REFUSED);
  });

  it('may be the old one for a session that a login replaces or a logout ends', async () => {
    const before = await startWith(SESSION_SECRET);
    const turned = await startWith(`${NEW}\n${SESSION_SECRET}`);
    const [replaced, left] = [await before.logIn(), await before.logIn()];
    await turned.logIn(replaced);
    expect(await turned.look(replaced)).toEqual(REFUSED);
    expect(await turned.end(left)).toEqual([200]);
    expect(await before.look(left)).toEqual(REFUSED);
  });
});

describe('a read', () => {
  let sql: Sql;
  let statements: string[];
  const hosts = { PDS_APP_ORIGIN: 'http://localhost:3001', PDS_DOMAIN: 'pnptv.test' };
  const deps = (adminIds: readonly string[] = []) => ({
    hosts,
    log: silentLog,
    sessions: { sql, sessionSecrets: [SESSION_SECRET] as const, adminIds },
  });

  beforeAll(() => {
    sql = postgres(database.apiUrl, {
      max: 1,
      fetch_types: false,
      types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
      debug: (_connection, query) => statements.push(query),
    }) as unknown as Sql;
  });
  afterAll(() => sql.end());
  beforeEach(() => {
    statements = [];
  });

  it.each([
    [
      'the identity',
      pds.info,
      () => route(pds.info, deps(), ({ me }) => readInfo({ sql, provisioningEnabled: true }, me)),
    ],
    [
      'the session',
      getSession,
      () => route(getSession, deps(), ({ me }) => readSession({ sql, provisioningEnabled: true }, me)),
    ],
    [
      'the log',
      pds.provisioningLog,
      () => route(pds.provisioningLog, deps(), ({ me, query }) => readLogPage(me, query)),
    ],
    [
      'the checks',
      pds.healthChecks,
      () => route(pds.healthChecks, deps(), ({ me, query }) => readHealthChecks(me, query)),
    ],
  ] as const)('of %s is one statement, with the session check in it', async (_, what, make) => {
    const handler = make();
    const bearer = { headers: { authorization: `Bearer ${cookie.split('=')[1]}` } };
    for (const sent of [{ cookie }, bearer]) {
      expect((await call(handler, what, sent)).status).toBe(200);
      expect(statements).toHaveLength(1);
      statements = [];
    }
    const dead = `__Host-session=${newSessionToken()}`;
    expect(await verdict(call(handler, what, { cookie: dead }))).toEqual(REFUSED);
    expect(statements).toHaveLength(1);
  });

  it('without a cookie does not reach the database', async () => {
    const handler = route(pds.info, deps(), ({ me }) => readInfo({ sql, provisioningEnabled: true }, me));
    expect(await verdict(call(handler, pds.info, {}))).toEqual(REFUSED);
    expect(statements).toEqual([]);
  });

  it('answers 401 before it says what is wrong with the request', async () => {
    const handler = route(pds.provisioningLog, deps(), ({ me, query }) => readLogPage(me, query));
    const query = { limit: 'x' };
    expect(await verdict(call(handler, pds.provisioningLog, { cookie, query }))).toEqual([
      400,
      'INPUT_INVALID',
    ]);
    const dead = `__Host-session=${newSessionToken()}`;
    expect(await verdict(call(handler, pds.provisioningLog, { cookie: dead, query }))).toEqual(REFUSED);
  });

  it('whose handler forgets to ask who is there is refused all the same', async () => {
    const handler = route(pds.healthChecks, deps(), () => []);
    expect(await verdict(call(handler, pds.healthChecks, { cookie }))).toEqual([200]);
    const dead = `__Host-session=${newSessionToken()}`;
    expect(await verdict(call(handler, pds.healthChecks, { cookie: dead }))).toEqual(REFUSED);
  });

  it('for administrators is for those whom the settings name now, whatever their login said', async () => {
    const secret = contract({
      ...pds.healthChecks,
      operationId: 'secret',
      path: '/api/secret',
      access: 'admin',
    });
    const asked = (adminIds: string[]) =>
      verdict(
        call(
          route(secret, deps(adminIds), ({ me, query }) => readHealthChecks(me, query)),
          secret,
          { cookie },
        ),
      );
    const [{ user_id: id } = { user_id: '' }] = await db<{ user_id: string }[]>`
      SELECT user_id FROM sessions ORDER BY created_at DESC LIMIT 1`;
    const NO = [403, 'ADMIN_REQUIRED'];
    expect(await asked([])).toEqual(NO);
    expect(await asked([`${id}0`, id.slice(1)])).toEqual(NO);
    expect(await asked(['1', id])).toEqual([200]);
    await db`UPDATE users SET role = 'admin' WHERE id = ${id}`;
    statements = [];
    expect(await asked([])).toEqual(NO);
    expect(statements).toHaveLength(1);
  });

  it('for administrators, when it changes something, too; and the session tells the role as it is now', async () => {
    const change = contract({
      ...logout,
      operationId: 'change',
      path: '/api/change',
      access: 'admin',
      data: z.object({ role: z.string() }),
    });
    const [{ user_id: id } = { user_id: '' }] = await db<{ user_id: string }[]>`
      SELECT user_id FROM sessions ORDER BY created_at DESC LIMIT 1`;
    const asked = (adminIds: string[]) =>
      call(
        route(change, deps(adminIds), ({ member }) => ({ role: member.role })),
        change,
        { cookie },
      );
    expect((await asked([id])).data).toEqual({ role: 'admin' });
    expect(await verdict(asked([]))).toEqual([403, 'ADMIN_REQUIRED']);
    const session = route(getSession, deps([id]), ({ me }) =>
      readSession({ sql, provisioningEnabled: true }, me),
    );
    expect((await call(session, getSession, { cookie })).data.member.role).toBe('admin');
  });

  it('keeps the order of its rows, and tells no rows from no session', async () => {
    const me = asMember(deps().sessions, cookie.split('=')[1] ?? '');
    const rows = await me<{ n: number }>`SELECT n FROM generate_series(1, 500) n ORDER BY n DESC`;
    expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: 500 }, (_, index) => 500 - index));
    expect(await me`SELECT 1 AS one WHERE false`).toEqual([]);
    expect(await me`SELECT NULL AS nothing`).toEqual([{ nothing: null }]);
  });
});
