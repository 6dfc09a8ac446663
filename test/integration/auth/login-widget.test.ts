import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { getSession, loginWidget } from '../../../lib/auth/api.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, type Call, call, newcomer, setEnvironment, signedLogin } from '../http/app.ts';

let database: TestDatabase;
let db: postgres.Sql;
let handler: ApiHandler;
let session: ApiHandler;
const login = (options: Call) => call(handler, loginWidget, options);
const secondsFromNow = (seconds: number) => new Date(Date.now() + seconds * 1000);

async function memberOf(id: number) {
  const [member] = await db`SELECT * FROM users WHERE id = ${String(id)}`;
  return member;
}

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 2 });
  ({ handler } = await import('../../../functions/auth/login-widget.ts'));
  ({ handler: session } = await import('../../../functions/auth/get-session.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

describe('a login that Telegram has signed', () => {
  it('makes the member, his session and the work for his identity, and answers although SQS is down', async () => {
    const user = newcomer();
    const { status, data, cookies } = await login({ body: signedLogin(user) });
    expect(status).toBe(200);
    expect(data.member).toEqual({
      id: String(user.id),
      username: user.username,
      first_name: 'Alice',
      last_name: null,
      photo_url: null,
      role: 'member',
    });
    expect(data.pds).toMatchObject({ status: 'pending', provisioning_step: 'requested', pds_did: null });
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatch(
      /^__Host-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=2592000$/,
    );
    const rows = await db`
      SELECT action, status, sent_at FROM pds_provisioning_queue WHERE user_id = ${String(user.id)}`;
    expect(rows).toEqual([{ action: 'create', status: 'pending', sent_at: null }]);
    const cookie = cookies[0]?.split(';', 1)[0];
    expect((await call(session, getSession, { cookie })).data).toEqual(data);
  });

  it('stores the HMAC of the session token and never the token', async () => {
    const { cookies } = await login({ body: signedLogin() });
    const token = cookies[0]?.match(/=([\w-]{43});/)?.[1] ?? '';
    const [leak] = await db`
      SELECT count(*)::int AS rows FROM sessions s WHERE s::text LIKE ${`%${token}%`}
        OR s::text LIKE ${`%${Buffer.from(token).toString('hex')}%`}
        OR s::text LIKE ${`%${Buffer.from(token, 'base64url').toString('hex')}%`}`;
    expect(leak).toEqual({ rows: 0 });
  });

  it('starts a new session each time and enqueues nothing twice', async () => {
    const user = newcomer();
    const first = await login({ body: signedLogin(user, secondsFromNow(-2)) });
    const second = await login({ body: signedLogin(user, secondsFromNow(-1)) });
    expect(second.cookies[0]).not.toBe(first.cookies[0]);
    expect(second.data.pds.pnptv_uuid).toBe(first.data.pds.pnptv_uuid);
    const [counts] = await db`
      SELECT (SELECT count(*)::int FROM sessions WHERE user_id = ${String(user.id)}) AS sessions,
        (SELECT count(*)::int FROM pds_provisioning_queue WHERE user_id = ${String(user.id)}) AS work`;
    expect(counts).toEqual({ sessions: 2, work: 1 });
  });

  it('ends the session that the same browser had, and no other', async () => {
    const user = newcomer();
    const elsewhere = await login({ body: signedLogin(user, secondsFromNow(-3)) });
    const before = await login({ body: signedLogin(user, secondsFromNow(-2)) });
    const [first, second] = [elsewhere, before].map(({ cookies }) => cookies[0]?.split(';', 1)[0]);
    await login({ body: signedLogin(user, secondsFromNow(-1)), cookie: second });
    expect((await call(session, getSession, { cookie: second })).status).toBe(401);
    expect((await call(session, getSession, { cookie: first })).status).toBe(200);
  });

  it('takes over what the member changed at Telegram, also what he removed', async () => {
    const { id, ...rest } = newcomer();
    await login({ body: signedLogin({ id, ...rest, last_name: 'Old' }, secondsFromNow(-1)) });
    await login({ body: signedLogin({ id, first_name: 'Ally 👩‍🚀' }) });
    expect(await memberOf(id)).toMatchObject({ first_name: 'Ally 👩‍🚀', last_name: null, username: null });
  });

  it('makes those administrators whom the settings name, and nobody else', async () => {
    const admin = await login({ body: signedLogin({ id: ADMIN_ID, first_name: 'Root' }) });
    expect(admin.data.member.role).toBe('admin');
    const { id } = newcomer();
    await login({ body: signedLogin({ id }, secondsFromNow(-1)) });
    await db`UPDATE users SET role = 'admin' WHERE id = ${String(id)}`;
    expect((await login({ body: signedLogin({ id }) })).data.member.role).toBe('member');
  });

  it('asks for a check of an identity whose last one is over an hour old, and for none before that', async () => {
    const user = newcomer();
    const id = String(user.id);
    await login({ body: signedLogin(user, secondsFromNow(-3)) });
    await db`UPDATE pds_provisioning_queue SET status = 'completed' WHERE user_id = ${id}`;
    await makeActive(id);
    const verifies = () => db`
      SELECT id FROM pds_provisioning_queue WHERE user_id = ${id} AND action = 'verify'`;

    await db`UPDATE user_pds_mapping SET last_verified_at = now() - interval '59 minutes' WHERE user_id = ${id}`;
    const { data } = await login({ body: signedLogin(user, secondsFromNow(-2)) });
    expect(data.pds.status).toBe('active');
    expect(await verifies()).toHaveLength(0);

    await db`UPDATE user_pds_mapping SET last_verified_at = now() - interval '61 minutes' WHERE user_id = ${id}`;
    await login({ body: signedLogin(user, secondsFromNow(-1)) });
    expect(await verifies()).toHaveLength(1);
  });

  it('tries again what had failed', async () => {
    const user = newcomer();
    const id = String(user.id);
    await login({ body: signedLogin(user, secondsFromNow(-2)) });
    await db`UPDATE pds_provisioning_queue SET status = 'failed', attempt_count = 3 WHERE user_id = ${id}`;
    await db`UPDATE user_pds_mapping SET status = 'error', error_code = 'X', error_message = 'Y' WHERE user_id = ${id}`;
    const { data } = await login({ body: signedLogin(user, secondsFromNow(-1)) });
    expect(data.pds).toMatchObject({ status: 'pending', error: null });
    const open = await db`
      SELECT attempt_count FROM pds_provisioning_queue WHERE user_id = ${id} AND status = 'pending'`;
    expect(open).toEqual([{ attempt_count: 0 }]);
  });
});

describe('a login that is refused makes no account', () => {
  const refused = async (body: { id: number; [field: string]: unknown }, code: string) => {
    const { status, error, cookies } = await login({ body });
    expect({ status, code: error?.code, cookies }).toEqual({ status: 401, code, cookies: [] });
    expect(await memberOf(body.id)).toBeUndefined();
  };

  it('when the signature is forged, in any byte', async () => {
    const payload = signedLogin();
    const flipped = payload.hash.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    await refused({ ...payload, hash: flipped }, 'LOGIN_SIGNATURE_INVALID');
    await refused({ ...payload, hash: '0'.repeat(64) }, 'LOGIN_SIGNATURE_INVALID');
  });

  it('when any signed field is changed, added or taken away', async () => {
    const payload = signedLogin();
    await refused({ ...payload, id: payload.id + 500_000 }, 'LOGIN_SIGNATURE_INVALID');
    await refused({ ...payload, auth_date: payload.auth_date + 1 }, 'LOGIN_SIGNATURE_INVALID');
    await refused({ ...payload, last_name: 'Added' }, 'LOGIN_SIGNATURE_INVALID');
    await refused({ ...payload, last_name: '' }, 'LOGIN_SIGNATURE_INVALID');
    const { username: _, ...without } = payload;
    await refused(without, 'LOGIN_SIGNATURE_INVALID');
  });

  it('when one field pretends to be two, or two to be one', async () => {
    const { hash } = signedLogin({ id: 77_000_001, first_name: 'A', username: 'b' });
    const auth_date = Math.floor(Date.now() / 1000);
    await refused(
      { id: 77_000_001, first_name: 'A\nusername=b', auth_date, hash },
      'LOGIN_SIGNATURE_INVALID',
    );
    // The lines that Telegram signs are the same ones: whoever could have such a name would be whom he likes.
    const name = 'A\nid=77000003\nlast_name=B';
    const own = signedLogin({ id: 77_000_002, first_name: name, username: 'b' });
    const stolen = { id: 77_000_003, first_name: 'A', last_name: 'B\nid=77000002', username: 'b' };
    await refused({ ...stolen, auth_date: own.auth_date, hash: own.hash }, 'LOGIN_SIGNATURE_INVALID');
    const two = signedLogin({ id: 77_000_004, first_name: 'A', last_name: 'B', username: 'b' });
    const { username: _, ...one } = { ...two, last_name: 'B\nusername=b' };
    await refused(one, 'LOGIN_SIGNATURE_INVALID');
  });

  it('when it is older than five minutes', async () => {
    await refused(signedLogin(newcomer(), secondsFromNow(-302)), 'LOGIN_EXPIRED');
    expect((await login({ body: signedLogin(newcomer(), secondsFromNow(-290)) })).status).toBe(200);
  });

  it('when it is dated in the future, but for the skew of clocks', async () => {
    await refused(signedLogin(newcomer(), secondsFromNow(40)), 'LOGIN_FROM_THE_FUTURE');
    expect((await login({ body: signedLogin(newcomer(), secondsFromNow(20)) })).status).toBe(200);
  });

  it('when the signature was used before', async () => {
    const body = signedLogin();
    expect((await login({ body })).status).toBe(200);
    const again = await login({ body });
    expect([again.status, again.error?.code]).toEqual([401, 'LOGIN_REPLAYED']);
    expect(again.cookies).toEqual([]);
  });

  it('when the same signature comes twenty times at once: exactly one gets in', async () => {
    const user = newcomer();
    const body = signedLogin(user);
    const others = postgres(database.apiUrl, { max: 20 });
    const { logIn } = await import('../../../lib/auth/login/log-in.ts');
    const deps = {
      sql: others as never,
      sessionSecrets: ['x'.repeat(32)],
      adminIds: [],
      provisioningEnabled: true,
    } as const;
    const browser = { loginMethod: 'widget', userAgent: undefined, replaces: undefined } as const;
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, () => logIn(deps, { profile: body, signature: body.hash, ...browser })),
    );
    await others.end();
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const answer of answers) {
      if (answer.status === 'rejected') expect(answer.reason.code).toBe('LOGIN_REPLAYED');
    }
    expect(await db`SELECT id FROM sessions WHERE user_id = ${String(user.id)}`).toHaveLength(1);
  });

  it('and a signature whose login failed halfway is still good', async () => {
    const body = signedLogin();
    await db`ALTER TABLE sessions ADD CONSTRAINT broken CHECK (false) NOT VALID`;
    try {
      const { status, error } = await login({ body });
      expect([status, error?.code]).toEqual([500, 'INTERNAL']);
      expect(await memberOf(body.id)).toBeUndefined();
    } finally {
      await db`ALTER TABLE sessions DROP CONSTRAINT broken`;
    }
    expect((await login({ body })).status).toBe(200);
  });
});

describe('a login whose form is wrong', () => {
  const fieldsOf = async (body: unknown) => {
    const { status, error } = await login({ body });
    return [status, error?.code, error?.fields];
  };

  it.each([
    ['missing', ({ hash: _, ...payload }) => payload, ['hash']],
    ['unknown', (payload) => ({ ...payload, admin: true }), ['admin']],
    ['of the wrong type', (payload) => ({ ...payload, id: String(payload.id) }), ['id']],
    ['a fraction', (payload) => ({ ...payload, id: 1.5 }), ['id']],
    ['beyond what a number holds exactly', (payload) => ({ ...payload, id: 2 ** 53 }), ['id']],
    ['null', (payload) => ({ ...payload, username: null }), ['username']],
    ['over-long', (payload) => ({ ...payload, first_name: 'x'.repeat(256) }), ['first_name']],
    ['with a NUL character', (payload) => ({ ...payload, first_name: 'a\0b' }), ['first_name']],
    ['half a surrogate pair', (payload) => ({ ...payload, first_name: '\ud83d' }), ['first_name']],
    ['several at once', (payload) => ({ ...payload, id: 'x', hash: 'y', z: 1 }), ['id', 'hash', 'z']],
  ] as [string, (payload: ReturnType<typeof signedLogin>) => unknown, string[]][])(
    'is told which field is %s',
    async (_, change, fields) => {
      expect(await fieldsOf(change(signedLogin()))).toEqual([400, 'INPUT_INVALID', fields]);
    },
  );

  it('does not reach a prototype', async () => {
    const rawBody = JSON.stringify(signedLogin()).replace('{', '{"__proto__":{"role":"admin"},');
    const { status, error } = await login({ rawBody });
    expect([status, error?.fields]).toEqual([400, ['__proto__']]);
  });

  it.each(['null', '[]', '"text"', '42', 'true'])('is no JSON object: %s', async (rawBody) => {
    const { status, error } = await login({ rawBody });
    expect([status, error?.code, error?.fields]).toEqual([400, 'INPUT_INVALID', ['body']]);
  });
});

it('does not wait for a queue that accepts and never answers', async () => {
  const hung = createServer(() => {}).listen(0, '127.0.0.1');
  await once(hung, 'listening');
  const { port } = hung.address() as AddressInfo;
  process.env.PROVISIONING_QUEUE_URL = `http://127.0.0.1:${port}/000000000000/provisioning`;
  vi.resetModules();
  try {
    const fresh = await import('../../../functions/auth/login-widget.ts');
    const begun = performance.now();
    expect((await call(fresh.handler, loginWidget, { body: signedLogin() })).status).toBe(200);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(500); // it has tried
    expect(took).toBeLessThan(15_000);
  } finally {
    hung.closeAllConnections();
    hung.close();
  }
});

it('counts logins per network and says when to come back', async () => {
  const sourceIp = '2001:db8:1:2::1';
  await db`
    INSERT INTO rate_limits (bucket, window_start, hits)
    VALUES ('loginWidget:2001:db8:1:2::/64', date_bin('1 minute', now(), 'epoch'), 600),
           ('loginWidget:2001:db8:1:2::/64', date_bin('1 minute', now(), 'epoch') + interval '1 minute', 600)`;
  const { status, error, headers } = await login({ body: signedLogin(), sourceIp });
  expect([status, error?.code]).toEqual([429, 'RATE_LIMITED']);
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
  expect((await login({ body: signedLogin(), sourceIp: '2001:db8:1:3::1' })).status).toBe(200);
});

/** What the saga leaves behind, without the saga. */
async function makeActive(id: string): Promise<void> {
  const key = crypto.randomUUID();
  await db`INSERT INTO pds_data_keys (id, wrapped_key, wrapper_key_id, environment, state) VALUES (${key}, '\\x00', 'k', 'test', 'retired')`;
  await db`INSERT INTO pds_providers (id, endpoint) VALUES ('local', 'http://127.0.0.1:9') ON CONFLICT DO NOTHING`;
  await db`
    UPDATE user_pds_mapping SET status = 'active', provisioning_step = 'secured', pds_handle = ${`h${id}.pnptv.test`},
      pds_did = ${`did:web:h${id}-aaaaaa.pnptv.test`}, pds_endpoint = 'http://localhost:3000', pds_public_key = 'z',
      pds_private_key_encrypted = 'x', pds_private_key_iv = 'x', pds_private_key_auth_tag = 'x',
      account_password_sealed = 'x', pds_refresh_token = 'x', data_key_id = ${key}, provider_id = 'local'
    WHERE user_id = ${id}`;
}
