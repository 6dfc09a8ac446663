import { generateKeyPairSync } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInitData } from '../../../infra/local/telegram.ts';
import { verifyAudit } from '../../../lib/audit/api.ts';
import { getSession, listSessions, loginMiniApp, logout } from '../../../lib/auth/api.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { createBackup } from '../../../lib/lifecycle/api.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, BOT_TOKEN, type Call, call, logIn, newcomer, setEnvironment } from '../http/app.ts';

const telegram = generateKeyPairSync('ed25519');
let database: TestDatabase;
let db: postgres.Sql;
const handlers = {} as Record<'enter' | 'look' | 'list' | 'end' | 'backUp' | 'verify', ApiHandler>;

const signed = (user: Parameters<typeof signInitData>[1] = newcomer(), secondsAgo = 0) =>
  signInitData({ botToken: BOT_TOKEN }, user, new Date(Date.now() - secondsAgo * 1000));
const enter = (init_data: unknown, options: Call = {}) =>
  call(handlers.enter, loginMiniApp, { ...options, body: { init_data } });
const bearer = (token: string): Call => ({ headers: { authorization: `Bearer ${token}` } });
const look = (options: Call) => call(handlers.look, getSession, options);
const verdict = async (answer: ReturnType<typeof call>) => {
  const { status, error } = await answer;
  return error ? [status, error.code] : [status];
};
const REFUSED = [401, 'SESSION_REQUIRED'];

beforeAll(async () => {
  database = await freshDatabase();
  const x = Buffer.from(telegram.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  setEnvironment(database, { TELEGRAM_WEBAPP_PUBLIC_KEY: x.toString('hex') });
  db = postgres(database.superuserUrl, { max: 2 });
  ({ handler: handlers.enter } = await import('../../../functions/auth/login-mini-app.ts'));
  ({ handler: handlers.look } = await import('../../../functions/auth/get-session.ts'));
  ({ handler: handlers.list } = await import('../../../functions/auth/list-sessions.ts'));
  ({ handler: handlers.end } = await import('../../../functions/auth/logout.ts'));
  ({ handler: handlers.verify } = await import('../../../functions/audit/verify-audit.ts'));
  ({ handler: handlers.backUp } = await import('../../../functions/lifecycle/create-backup.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

describe('a login from a Mini App', () => {
  it('makes the member and the work for his identity, and answers with a bearer for an hour and no cookie', async () => {
    const user = newcomer();
    const { status, data, cookies } = await enter(signed(user));
    expect([status, cookies]).toEqual([200, []]);
    const { token, ...session } = data;
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(session.member).toMatchObject({ id: String(user.id), username: user.username, role: 'member' });
    expect(session.pds).toMatchObject({ status: 'pending', provisioning_step: 'requested' });
    expect((Date.parse(session.expires_at) - Date.now()) / 60_000).toBeCloseTo(60, 0);
    const work = await db`
      SELECT action, status FROM pds_provisioning_queue WHERE user_id = ${String(user.id)}`;
    expect(work).toEqual([{ action: 'create', status: 'pending' }]);
    expect((await look(bearer(token))).data).toEqual(session);
  });

  it('is believed by Telegram’s Ed25519 signature alone, where the HMAC is left out', async () => {
    const fields = new URLSearchParams(
      signInitData({ botToken: BOT_TOKEN, key: telegram.privateKey }, newcomer()),
    );
    expect((await enter(String(fields))).status).toBe(200);
    fields.delete('hash');
    expect((await enter(String(fields))).status).toBe(200);
    fields.set('user', '{"id":1}');
    expect((await enter(String(fields))).error?.code).toBe('LOGIN_SIGNATURE_INVALID');
  });

  it('may come again with the same init data within the hour, each time to a session of its own', async () => {
    const user = newcomer();
    const initData = signed(user, 59 * 60);
    const [first, second] = [await enter(initData), await enter(initData)];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(first.data.token).not.toBe(second.data.token);
    expect(await verdict(look(bearer(first.data.token)))).toEqual([200]);
    const [{ work } = { work: 0 }] = await db`
      SELECT count(*)::int AS work FROM pds_provisioning_queue WHERE user_id = ${String(user.id)}`;
    expect(work).toBe(1);
  });

  it('leaves the picture that another door brought, and takes the name that Telegram knows now', async () => {
    const { id } = newcomer();
    await logIn({ id, first_name: 'Old', username: 'old_name', photo_url: 'https://t.me/i/1.jpg' });
    const { data } = await enter(signed({ id, first_name: 'New' }));
    expect(data.member).toMatchObject({
      ...{ first_name: 'New', username: null, photo_url: 'https://t.me/i/1.jpg' },
    });
  });

  it('is refused when it is forged, older than an hour or from the future; then there is no account', async () => {
    const user = newcomer();
    const other = signInitData({ botToken: `${BOT_TOKEN}x` }, user);
    for (const [initData, code] of [
      [other, 'LOGIN_SIGNATURE_INVALID'],
      ['', 'LOGIN_SIGNATURE_INVALID'],
      ['💥&&==%ff%', 'LOGIN_SIGNATURE_INVALID'],
      [signed(user, 3_605), 'LOGIN_EXPIRED'],
      [signed(user, -60), 'LOGIN_FROM_THE_FUTURE'],
    ]) {
      expect([initData, await verdict(enter(initData))]).toEqual([initData, [401, code]]);
    }
    expect(await db`SELECT FROM users WHERE id = ${String(user.id)}`).toHaveLength(0);
  });

  it.each([[5], [null], [{}], ['x'.repeat(7_001)], ['a\0']])(
    'names init data of a wrong form: %j',
    async (initData) => {
      const { status, error } = await enter(initData);
      expect([status, error?.fields]).toEqual([400, ['init_data']]);
    },
  );
});

describe('a bearer', () => {
  it('is good for reads, changes and administrators’ routes alike', async () => {
    const { data } = await enter(signed({ id: ADMIN_ID, first_name: 'Root' }));
    expect(data.member.role).toBe('admin');
    expect(await verdict(look(bearer(data.token)))).toEqual([200]);
    const backUp = call(handlers.backUp, createBackup, bearer(data.token));
    expect(await verdict(backUp)).toEqual([409, 'IDENTITY_NOT_READY']);
    expect(await verdict(call(handlers.verify, verifyAudit, bearer(data.token)))).toEqual([200]);
    const { data: other } = await enter(signed());
    const forbidden = call(handlers.verify, verifyAudit, bearer(other.token));
    expect(await verdict(forbidden)).toEqual([403, 'ADMIN_REQUIRED']);
  });

  it('goes before a cookie, also when it is no good', async () => {
    const user = newcomer();
    const { data } = await enter(signed(user));
    const cookie = await logIn();
    expect((await look({ ...bearer(data.token), cookie })).data.member.id).toBe(String(user.id));
    expect(await verdict(look({ ...bearer('A'.repeat(43)), cookie }))).toEqual(REFUSED);
    expect(await verdict(look({ cookie }))).toEqual([200]);
  });

  it('is over at once with its logout, and no other session with it', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const { data } = await enter(signed(user));
    // The same browser has both: its cookie is another session's, which goes on.
    const { status, cookies } = await call(handlers.end, logout, { ...bearer(data.token), cookie });
    expect([status, cookies]).toEqual([200, []]);
    expect(await verdict(look(bearer(data.token)))).toEqual(REFUSED);
    expect(await verdict(look({ cookie }))).toEqual([200]);
  });

  it('is over after its hour, used or not', async () => {
    const { data } = await enter(signed());
    await db`UPDATE sessions SET expires_at = now() WHERE login_method = 'miniapp'`;
    expect(await verdict(look(bearer(data.token)))).toEqual(REFUSED);
  });

  it('is a session like every other in the list of its member', async () => {
    const { data } = await enter(signed(), { headers: { 'user-agent': 'Mozilla/5.0 (iPhone) Telegram' } });
    const list = await call(handlers.list, listSessions, bearer(data.token));
    expect(list.data).toMatchObject([{ login_method: 'miniapp', device: 'iPhone', current: true }]);
  });

  it.each([
    '',
    'Bearer',
    'Bearer ',
    'Bearer x',
    `Bearer ${'A'.repeat(42)}`,
    `Bearer ${'A'.repeat(44)}`,
    `Bearer ${'A'.repeat(43)} x`,
    `Basic ${'A'.repeat(43)}`,
    `bearer ${'A'.repeat(43)}, bearer ${'B'.repeat(43)}`,
    `Bearer ${"'".repeat(43)}`,
  ])('that is garbled is none: %j', async (authorization) => {
    expect(await verdict(look({ headers: { authorization } }))).toEqual(REFUSED);
  });

  it('stands nowhere in the database', async () => {
    const { data } = await enter(signed());
    const rows = await db<{ row: string }[]>`SELECT s::text AS row FROM sessions s`;
    const hex = Buffer.from(data.token).toString('hex');
    expect(rows.filter(({ row }) => row.includes(data.token) || row.includes(hex))).toEqual([]);
  });
});
