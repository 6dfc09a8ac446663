import { createHash } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { exchangeCode, getSession, internalLogin } from '../../../lib/auth/api.ts';
import { bringMember } from '../../../lib/auth/login/bring-member.ts';
import { logInWithToken } from '../../../lib/auth/login/login-token.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import {
  type Call,
  call,
  INTERNAL_API_KEYS,
  newcomer,
  SESSION_SECRET,
  setEnvironment,
  signedByBackend,
} from '../http/app.ts';

let database: TestDatabase;
let db: postgres.Sql;
let handler: ApiHandler;
let exchanging: ApiHandler;
let session: ApiHandler;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 2 });
  ({ handler } = await import('../../../functions/auth/internal-login.ts'));
  ({ handler: exchanging } = await import('../../../functions/auth/exchange-code.ts'));
  ({ handler: session } = await import('../../../functions/auth/get-session.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const bring = (options: Call) => call(handler, internalLogin, options);
const exchange = (code: unknown, options: Call = {}) =>
  call(exchanging, exchangeCode, { body: { code }, ...options });
const secondsFromNow = (seconds: number) => new Date(Date.now() + seconds * 1000);
const someone = () => ({ telegramId: newcomer().id });
const memberOf = async ({ telegramId }: { telegramId: number }) => {
  const [member] = await db`
    SELECT username, first_name, last_name, photo_url FROM users WHERE id = ${String(telegramId)}`;
  return member;
};

describe('a backend that signs', () => {
  it('brings a member: he and the work for his identity are stored, his code makes a session, once', async () => {
    const body = { ...someone(), username: 'bea', first_name: 'Bea' };
    const { status, data, cookies } = await bring(signedByBackend(body));
    expect([status, cookies]).toEqual([200, []]);
    expect(data.pds).toMatchObject({ status: 'pending', provisioning_step: 'requested' });
    expect(data.code).toMatch(/^[\w-]{43}$/);
    const lifetime = (Date.parse(data.expires_at) - Date.now()) / 1000;
    expect([lifetime > 110, lifetime <= 120]).toEqual([true, true]);
    expect(await memberOf(body)).toMatchObject({ username: 'bea', first_name: 'Bea', last_name: null });
    const work = await db`
      SELECT action, status FROM pds_provisioning_queue WHERE user_id = ${String(body.telegramId)}`;
    expect(work).toEqual([{ action: 'create', status: 'pending' }]);

    const first = await exchange(data.code);
    expect(first.status).toBe(200);
    expect(first.data).toMatchObject({ member: { id: String(body.telegramId) }, pds: data.pds });
    const cookie = first.cookies[0]?.split(';', 1)[0];
    expect((await call(session, getSession, { cookie })).data).toEqual(first.data);
    const second = await exchange(data.code);
    expect([second.status, second.error?.code, second.cookies]).toEqual([401, 'LOGIN_TOKEN_INVALID', []]);
  });

  it('may sign with either of its keys, and over bytes that came in base64', async () => {
    for (const key of INTERNAL_API_KEYS)
      expect((await bring(signedByBackend(someone(), { key }))).status).toBe(200);
    const bytes = Buffer.from(JSON.stringify({ ...someone(), first_name: 'Žofie 👩‍🚀' }));
    expect((await bring(signedByBackend(new Uint8Array(bytes)))).status).toBe(200);
  });

  it('leaves what it does not say as it is known, and takes away what it calls null', async () => {
    const id = someone();
    await bring(signedByBackend({ ...id, username: 'old', first_name: 'Old', last_name: 'Name' }));
    await bring(signedByBackend(id));
    expect(await memberOf(id)).toMatchObject({ username: 'old', first_name: 'Old', last_name: 'Name' });
    await bring(signedByBackend({ ...id, username: 'new', last_name: null }));
    expect(await memberOf(id)).toMatchObject({ username: 'new', first_name: 'Old', last_name: null });
  });

  it('whose answer was lost signs anew: one member, one piece of work, and both codes are good', async () => {
    const body = someone();
    const [lost, again] = [await bring(signedByBackend(body)), await bring(signedByBackend(body))];
    expect(again.data.code).not.toBe(lost.data.code);
    const work = await db`SELECT FROM pds_provisioning_queue WHERE user_id = ${String(body.telegramId)}`;
    expect(work).toHaveLength(1);
    for (const { data } of [lost, again]) expect((await exchange(data.code)).status).toBe(200);
  });

  it('stores neither the code nor the nonce in the clear', async () => {
    const nonce = 'a-nonce-to-look-for-in-the-rows';
    const { data } = await bring(signedByBackend(someone(), { nonce }));
    for (const secret of [data.code, nonce]) {
      const [leak] = await db`
        SELECT (SELECT count(*)::int FROM login_tokens t WHERE t::text LIKE ${`%${secret}%`})
          + (SELECT count(*)::int FROM login_nonces n WHERE n::text LIKE ${`%${secret}%`}) AS rows`;
      expect(leak).toEqual({ rows: 0 });
    }
  });
});

describe('a request is refused, and nothing is stored,', () => {
  const refused = async (request: Call, code: string, body?: { telegramId: number }) => {
    const { status, error, cookies } = await bring(request);
    expect([status, error?.code, cookies]).toEqual([401, code, []]);
    if (body) expect(await memberOf(body)).toBeUndefined();
  };
  const changed = (request: ReturnType<typeof signedByBackend>, headers: Call['headers']) => ({
    ...request,
    headers: { ...request.headers, ...headers },
  });

  it('when it is not signed, or not in full', async () => {
    const body = someone();
    await refused({ body }, 'SIGNATURE_INVALID', body);
    for (const header of ['x-pds-timestamp', 'x-pds-nonce', 'x-pds-signature'])
      await refused(changed(signedByBackend(body), { [header]: undefined }), 'SIGNATURE_INVALID', body);
  });

  it('when it is signed with another key, or as something else than HMAC-SHA256 in lower-case hex', async () => {
    const body = someone();
    await refused(signedByBackend(body, { key: 'a key that nobody gave us' }), 'SIGNATURE_INVALID', body);
    const request = signedByBackend(body);
    const signature = request.headers['x-pds-signature'] ?? '';
    const forged = ['', '0'.repeat(64), signature.toUpperCase(), `${signature}00`, signature.slice(2)];
    for (const other of forged)
      await refused(changed(request, { 'x-pds-signature': other }), 'SIGNATURE_INVALID', body);
  });

  it('when anything that is signed was changed on the way', async () => {
    const body = someone();
    const request = signedByBackend(body);
    const timestamp = String(Math.floor(Date.now() / 1000) + 1);
    await refused({ ...request, rawBody: `${request.rawBody} ` }, 'SIGNATURE_INVALID', body);
    await refused({ ...request, rawBody: JSON.stringify(someone()) }, 'SIGNATURE_INVALID', body);
    await refused(changed(request, { 'x-pds-timestamp': timestamp }), 'SIGNATURE_INVALID', body);
    await refused(
      changed(request, { 'x-pds-nonce': 'another-nonce-of-32-characters--' }),
      'SIGNATURE_INVALID',
      body,
    );
  });

  it('when its nonce is too short, too long or of other characters, although it is signed', async () => {
    for (const nonce of ['', 'short', 'x'.repeat(65), 'sixteen and space', 'line\nfeed-line-feed'])
      await refused(signedByBackend(someone(), { nonce }), 'SIGNATURE_INVALID');
  });

  it('when it is older than five minutes or dated in the future, but for the skew of clocks', async () => {
    const body = someone();
    await refused(signedByBackend(body, { now: secondsFromNow(-302) }), 'SIGNATURE_EXPIRED', body);
    await refused(signedByBackend(body, { now: secondsFromNow(40) }), 'SIGNATURE_EXPIRED', body);
    expect((await bring(signedByBackend(body, { now: secondsFromNow(-290) }))).status).toBe(200);
    expect((await bring(signedByBackend(body, { now: secondsFromNow(20) }))).status).toBe(200);
  });

  it('when its nonce was here before, whatever else is in it', async () => {
    const nonce = 'used-once-and-never-again';
    const request = signedByBackend(someone(), { nonce });
    expect((await bring(request)).status).toBe(200);
    await refused(request, 'SIGNATURE_REPLAYED');
    const body = someone();
    await refused(signedByBackend(body, { nonce }), 'SIGNATURE_REPLAYED', body);
  });

  it.each([
    ['without an id', {}, ['telegramId']],
    ['with an id as text', { telegramId: '5' }, ['telegramId']],
    ['with an id below one', { telegramId: 0 }, ['telegramId']],
    ['with a field that we do not know', { telegramId: 5, role: 'admin' }, ['role']],
    ['with a name that is too long', { telegramId: 5, username: 'x'.repeat(256) }, ['username']],
  ])('when it is signed %s: 400, and the nonce is still good', async (_, body, fields) => {
    const nonce = `nonce-of-a-mistake-${createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16)}`;
    const { status, error } = await bring(signedByBackend(body, { nonce }));
    expect([status, error?.code, error?.fields]).toEqual([400, 'INPUT_INVALID', fields]);
    expect((await bring(signedByBackend(someone(), { nonce }))).status).toBe(200);
  });

  it('when no key is set: this door is closed, to a signature with an empty key too', async () => {
    process.env.INTERNAL_API_KEYS = '';
    vi.resetModules();
    const closed = await import('../../../functions/auth/internal-login.ts');
    for (const key of ['', INTERNAL_API_KEYS[0]]) {
      const { status, error } = await call(
        closed.handler,
        internalLogin,
        signedByBackend(someone(), { key }),
      );
      expect([status, error?.code]).toEqual([404, 'LOGIN_METHOD_OFF']);
    }
  });
});

describe('twenty at once', () => {
  const TWENTY = Array.from({ length: 20 });
  const withMany = async <T>(work: (deps: Parameters<typeof bringMember>[0]) => Promise<T>) => {
    const sql = postgres(database.apiUrl, { max: 20 });
    const deps = {
      sql: sql as never,
      sessionSecrets: [SESSION_SECRET] as const,
      adminIds: [],
      provisioningEnabled: true,
    };
    return work(deps).finally(() => sql.end());
  };
  const refusals = (answers: PromiseSettledResult<unknown>[]) =>
    answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason.code] : []));

  it('with one nonce: exactly one counts', async () => {
    const answers = await withMany((deps) =>
      Promise.allSettled(
        TWENTY.map(() => bringMember(deps, { profile: someone(), signature: 'backend:the-same-nonce' })),
      ),
    );
    expect(refusals(answers)).toEqual(Array(19).fill('SIGNATURE_REPLAYED'));
  });

  it('with one code: exactly one session', async () => {
    const body = someone();
    process.env.INTERNAL_API_KEYS = INTERNAL_API_KEYS.join('\n');
    const { data } = await bring(signedByBackend(body));
    const wanted = { token: data.code, kind: 'exchange', userAgent: undefined, replaces: undefined } as const;
    const answers = await withMany((deps) =>
      Promise.allSettled(TWENTY.map(() => logInWithToken(deps, wanted))),
    );
    expect(refusals(answers)).toEqual(Array(19).fill('LOGIN_TOKEN_INVALID'));
    expect(await db`SELECT FROM sessions WHERE user_id = ${String(body.telegramId)}`).toHaveLength(1);
  });
});
