import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as auth from '../../../lib/auth/api.ts';
import type { ListedSession } from '../../../lib/auth/session/sessions.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { type Call, call, newcomer, setEnvironment, signedLogin } from '../http/app.ts';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0';
const NOT_FOUND = [404, 'SESSION_NOT_FOUND'];
const OVER = [401, 'SESSION_REQUIRED'];
const CLEARED = '__Host-session=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0';

let database: TestDatabase;
let db: postgres.Sql;
let login: ApiHandler;
let session: ApiHandler;
let listing: ApiHandler;
let revoking: ApiHandler;
let revokingOthers: ApiHandler;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 2 });
  ({ handler: login } = await import('../../../functions/auth/login-widget.ts'));
  ({ handler: session } = await import('../../../functions/auth/get-session.ts'));
  ({ handler: listing } = await import('../../../functions/auth/list-sessions.ts'));
  ({ handler: revoking } = await import('../../../functions/auth/revoke-session.ts'));
  ({ handler: revokingOthers } = await import('../../../functions/auth/revoke-other-sessions.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

/** A new member with this many sessions, the first login first; each from a browser of its own. */
async function memberWith(sessions: number): Promise<string[]> {
  const user = newcomer();
  const cookies: string[] = [];
  for (let n = 0; n < sessions; n += 1) {
    const body = signedLogin(user, new Date(Date.now() - (sessions - n) * 1000));
    const headers = { 'user-agent': n === 0 ? FIREFOX : 'something else' };
    const answer = await call(login, auth.loginWidget, { body, headers });
    cookies.push(answer.cookies[0]?.split(';', 1)[0] ?? '');
  }
  return cookies;
}

const list = async (cookie: string): Promise<ListedSession[]> =>
  (await call(listing, auth.listSessions, { cookie })).data;
const currentOf = async (cookie: string) => (await list(cookie)).find(({ current }) => current)?.id ?? '';
const revoke = (options: Call & { id: string }) =>
  call(revoking, auth.revokeSession, { params: { id: options.id }, ...options });
const revokeOthers = (cookie: string) => call(revokingOthers, auth.revokeOtherSessions, { cookie });
const verdict = async (answer: ReturnType<typeof call>) => {
  const { status, error } = await answer;
  return error ? [status, error.code] : [status];
};
const look = (cookie: string) => verdict(call(session, auth.getSession, { cookie }));
const change = (id: string, assignment: string) =>
  db`UPDATE sessions SET ${db.unsafe(assignment)} WHERE id = ${id}`;

let first: string;
let second: string;
let third: string;
beforeEach(async () => {
  [first = '', second = '', third = ''] = await memberWith(3);
});

describe('the list of sessions', () => {
  it('shows device, login and times of each, and which is this one', async () => {
    const [mine] = await list(first);
    expect(mine).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      device: 'Firefox on Windows',
      login_method: 'widget',
      created_at: expect.any(String),
      last_seen_at: expect.any(String),
      expires_at: expect.any(String),
      current: true,
    });
    expect(Date.now() - Date.parse(mine?.created_at ?? '')).toBeLessThan(10_000);
    expect((await list(second)).map(({ device }) => device)).toEqual([null, null, 'Firefox on Windows']);
  });

  it('has the newest use first: this one, which is in use now', async () => {
    const [one, two, three] = [await currentOf(first), await currentOf(second), await currentOf(third)];
    await change(one, "last_seen_at = now() - interval '50 minutes'");
    await change(two, "last_seen_at = now() - interval '6 days'");
    await change(three, "last_seen_at = now() - interval '3 days'");
    const [mine, ...others] = await list(first);
    expect([mine?.id, ...others.map(({ id }) => id)]).toEqual([one, three, two]);
    expect(Date.now() - Date.parse(mine?.last_seen_at ?? '')).toBeLessThan(10_000);
  });

  it('has none that is over: revoked, 30 days old, or unused for 7 days', async () => {
    const [two, three] = [await currentOf(second), await currentOf(third)];
    await change(two, 'expires_at = now()');
    await change(three, "last_seen_at = now() - interval '7 days'");
    expect((await list(first)).map(({ current }) => current)).toEqual([true]);
    await change(two, "expires_at = now() + interval '1 minute', revoked_at = now()");
    expect(await list(first)).toHaveLength(1);
  });

  it('has nobody else’s', async () => {
    const [stranger = ''] = await memberWith(1);
    const mine = new Set((await list(first)).map(({ id }) => id));
    expect((await list(stranger)).filter(({ id }) => mine.has(id))).toEqual([]);
    expect(mine.size).toBe(3);
  });
});

describe('one session', () => {
  it('is revoked at once, and no other with it', async () => {
    const { status, data, cookies } = await revoke({ cookie: first, id: await currentOf(second) });
    expect([status, data, cookies]).toEqual([200, { revoked: 1 }, []]);
    expect(await look(second)).toEqual(OVER);
    expect([await look(first), await look(third)]).toEqual([[200], [200]]);
  });

  it('is not found a second time, and once only when two ask at once', async () => {
    const id = await currentOf(second);
    const answers = await Promise.all([
      verdict(revoke({ cookie: first, id })),
      verdict(revoke({ cookie: third, id })),
    ]);
    expect(answers).toEqual(expect.arrayContaining([[200], NOT_FOUND]));
    expect(await verdict(revoke({ cookie: first, id }))).toEqual(NOT_FOUND);
  });

  it('may be this one: then its cookie is taken away, however its id was spelled', async () => {
    const id = (await currentOf(first)).toUpperCase();
    const { status, cookies } = await revoke({ cookie: first, id });
    expect([status, cookies]).toEqual([200, [CLEARED]]);
    expect(await look(first)).toEqual(OVER);
    expect(await look(second)).toEqual([200]);
    // Where it came as a bearer, the browser's cookie is another session's.
    const headers = { authorization: `Bearer ${second.split('=')[1]}` };
    const byBearer = await revoke({ cookie: third, headers, id: await currentOf(second) });
    expect([byBearer.status, byBearer.cookies, await look(third)]).toEqual([200, [], [200]]);
  });

  it('of another member is not found, and lives on; nor is one that never was, or is over', async () => {
    const [stranger = ''] = await memberWith(1);
    expect(await verdict(revoke({ cookie: first, id: await currentOf(stranger) }))).toEqual(NOT_FOUND);
    expect(await look(stranger)).toEqual([200]);
    expect(await verdict(revoke({ cookie: first, id: randomUUID() }))).toEqual(NOT_FOUND);
    const id = await currentOf(second);
    await change(id, 'expires_at = now()');
    expect(await verdict(revoke({ cookie: first, id }))).toEqual(NOT_FOUND);
  });

  it.each(['1', '', 'current', '../sessions', `${randomUUID()}x`, "' OR 1=1 --", 'a\0b', '\ud83d'])(
    'with the id %j is refused by name',
    async (id) => {
      const { status, error } = await revoke({ cookie: first, id });
      expect([status, error?.code, error?.fields]).toEqual([400, 'INPUT_INVALID', ['id']]);
    },
  );

  it('is asked for by whoever is logged in only: 401 goes before 400 and 404', async () => {
    for (const id of ['malformed', await currentOf(second)]) {
      expect(await verdict(revoke({ id }))).toEqual(OVER);
      expect(await verdict(revoke({ id, cookie: `__Host-session=${'A'.repeat(43)}` }))).toEqual(OVER);
    }
    expect(await look(second)).toEqual([200]);
  });
});

describe('all other sessions', () => {
  it('are revoked, and counted', async () => {
    const { status, data, cookies } = await revokeOthers(first);
    expect([status, data, cookies]).toEqual([200, { revoked: 2 }, []]);
    expect([await look(first), await look(second), await look(third)]).toEqual([[200], OVER, OVER]);
    expect((await revokeOthers(first)).data).toEqual({ revoked: 0 });
  });

  it('are his own: nobody else is logged out', async () => {
    const [stranger = ''] = await memberWith(1);
    await revokeOthers(first);
    expect(await look(stranger)).toEqual([200]);
  });
});
