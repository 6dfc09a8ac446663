import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { startSession } from '../../../lib/auth/session/session.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { type Call, logIn, newcomer, SESSION_SECRET, setEnvironment, signedLogin } from '../http/app.ts';
import { ask, codeOf, memberWithFactor, type Operation, stepUp, verdict } from './second-factor.ts';

const LOGGED_OUT = [401, 'SESSION_REQUIRED'];
const NOT_FRESH = [403, 'LOGIN_NOT_FRESH'];
const WRONG = [403, 'CODE_INVALID'];
const NONE = [409, 'TOTP_NOT_ENROLLED'];
const ALREADY = [409, 'TOTP_ALREADY_ENROLLED'];
const UNCONFIRMED = [403, 'STEP_UP_REQUIRED'];
const NO_FACTOR = { enrolled: false, recovery_codes_left: 0 };
const RENEWAL = { operation: 'renewRecoveryCodes' };

let database: TestDatabase;
let db: Sql;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = connect(database.superuserUrl, { max: 2 });
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const tell = (operation: Operation, options: Call) => verdict(ask(operation, options));
const look = async (cookie: string) => (await ask('getSecondFactor', { cookie })).data;
const entriesOf = async (id: string) => {
  const [{ pnptv_uuid } = { pnptv_uuid: '' }] = await db<{ pnptv_uuid: string }[]>`
    SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${id}`;
  expect(await verifyMember(db, pnptv_uuid)).toMatchObject({ intact: true });
  const rows = await db`
    SELECT action, status, details, created_by FROM pds_provisioning_log WHERE user_id = ${id} ORDER BY seq`;
  return [...rows];
};
const actionsOf = async (id: string) => (await entriesOf(id)).map(({ action }) => action);
const factorOf = async (id: string) => (await db`SELECT * FROM totp_factors WHERE user_id = ${id}`)[0];
const openStepUps = async (id: string) =>
  (await db`SELECT FROM step_ups WHERE user_id = ${id} AND used_at IS NULL`).count;
/** As if the member's codes had been shown long ago. */
const forgetCodes = (id: string) => db`UPDATE totp_factors SET last_time_step = 1 WHERE user_id = ${id}`;

describe('enrolling', () => {
  it('hands out a secret in three forms, which counts for nothing before it is confirmed', async () => {
    const cookie = await logIn();
    expect(await look(cookie)).toEqual(NO_FACTOR);
    const { data, status } = await ask('enrollTotp', { cookie });
    expect([status, data]).toEqual([
      200,
      {
        secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
        otpauth_uri: expect.stringMatching(
          `^otpauth://totp/pnptv\\.test:alice_\\d+\\?secret=${data.secret}&`,
        ),
        qr_svg: expect.stringMatching(/^<svg .*<\/svg>$/),
      },
    ]);
    expect(await look(cookie)).toEqual(NO_FACTOR);
    const body = { ...RENEWAL, code: codeOf(data.secret) };
    expect(await tell('stepUp', { cookie, body })).toEqual(NONE);
  });

  it('stores the secret sealed, each time anew', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const { secret } = (await ask('enrollTotp', { cookie })).data;
    const first = await factorOf(String(user.id));
    expect(first?.secret_sealed).toMatch(/^v\d\.[0-9a-f-]{36}\./);
    expect(JSON.stringify(first)).not.toContain(secret);
    const { secret: second } = (await ask('enrollTotp', { cookie })).data;
    expect(second).not.toBe(secret);
    expect(await tell('confirmTotp', { cookie, body: { code: codeOf(secret) } })).toEqual(WRONG);
    // Put back, the secret before does not open.
    const after = await factorOf(String(user.id));
    await db`UPDATE totp_factors SET secret_sealed = ${first?.secret_sealed} WHERE id = ${after?.id}`;
    expect(await tell('confirmTotp', { cookie, body: { code: codeOf(secret) } })).toEqual([500, 'INTERNAL']);
  });

  it('is for who has just logged in: 10 minutes later nobody can do it in this session', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const { secret } = (await ask('enrollTotp', { cookie })).data;
    await db`UPDATE sessions SET created_at = now() - interval '10 minutes' WHERE user_id = ${String(user.id)}`;
    expect(await tell('enrollTotp', { cookie })).toEqual(NOT_FRESH);
    const body = { code: codeOf(secret) };
    expect(await tell('confirmTotp', { cookie, body })).toEqual(NOT_FRESH);
    // After another login, what was begun can be confirmed.
    expect(await tell('confirmTotp', { cookie: await logInAgain(user), body })).toEqual([200]);
  });

  it('is done once: a confirmed secret stays', async () => {
    const { cookie, id } = await memberWithFactor();
    const before = await factorOf(id);
    expect(await tell('enrollTotp', { cookie })).toEqual(ALREADY);
    expect(await tell('confirmTotp', { cookie, body: { code: '123456' } })).toEqual(ALREADY);
    expect(await factorOf(id)).toEqual(before);
  });

  it('needs the app’s own code to be confirmed, and one that was begun', async () => {
    const cookie = await logIn();
    expect(await tell('confirmTotp', { cookie, body: { code: '123456' } })).toEqual(NONE);
    const { secret } = (await ask('enrollTotp', { cookie })).data;
    for (const steps of [-3, 3]) {
      expect(await tell('confirmTotp', { cookie, body: { code: codeOf(secret, steps) } })).toEqual(WRONG);
    }
    for (const code of ['12345', '1234567', 'abcdef', '', 123456]) {
      expect(await tell('confirmTotp', { cookie, body: { code } })).toEqual([400, 'INPUT_INVALID']);
    }
    const code = codeOf(secret);
    const body = { code: `${code.slice(0, 3)} ${code.slice(3)}` };
    expect(await tell('confirmTotp', { cookie, body })).toEqual([200]);
  });

  it('leaves an entry in the log, and hashes of the recovery codes', async () => {
    const { id, codes, secret } = await memberWithFactor();
    expect(await entriesOf(id)).toEqual([
      {
        action: 'second_factor_enrolled',
        status: 'success',
        details: { session_id: expect.any(String) },
        created_by: id,
      },
    ]);
    const [row] = await db<
      { text: string }[]
    >`SELECT f::text AS text FROM totp_factors f WHERE user_id = ${id}`;
    for (const hidden of [secret, ...codes]) expect(row?.text).not.toContain(hidden);
  });
});

const logInAgain = async (user: ReturnType<typeof newcomer>) => {
  const body = signedLogin(user, new Date(Date.now() - 5_000));
  return (await ask('loginWidget', { body })).cookies[0]?.split(';', 1)[0] ?? '';
};

describe('a step-up', () => {
  it('says what it is for and until when', async () => {
    const { cookie, secret } = await memberWithFactor();
    const body = { operation: 'revealCredentials', target: 'private_key', code: codeOf(secret, 1) };
    const { data } = await ask('stepUp', { cookie, body });
    expect(data).toEqual({
      operation: 'revealCredentials',
      target: 'private_key',
      expires_at: expect.any(String),
      token: null,
    });
    expect((Date.parse(data.expires_at) - Date.now()) / 60_000).toBeCloseTo(5, 1);
  });

  it('is for a parameter of the path as well as for a field', async () => {
    const { cookie, codes } = await memberWithFactor();
    const body = { operation: 'restoreBackup', target: '42', code: codes[0] };
    expect((await ask('stepUp', { cookie, body })).data).toMatchObject({
      operation: 'restoreBackup',
      target: '42',
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no operation', { operation: undefined }, 'operation'],
    ['an operation that needs none', { operation: 'createBackup' }, 'operation'],
    ['an operation that is none', { operation: 'constructor' }, 'operation'],
    ['no target where one is needed', { operation: 'revealCredentials' }, 'target'],
    ['a target that there is not', { operation: 'revealCredentials', target: 'everything' }, 'target'],
    ['a target that its route would not read', { operation: 'restoreBackup', target: '042' }, 'target'],
    ['a target where none is taken', { ...RENEWAL, target: 'all' }, 'target'],
    ['an empty target', { ...RENEWAL, target: '' }, 'target'],
    ['a target with a NUL', { operation: 'revealCredentials', target: 'a\0' }, 'target'],
    ['no code', { ...RENEWAL, code: undefined }, 'code'],
    ['a code that is none', { ...RENEWAL, code: '12-34' }, 'code'],
    ['a number for a code', { ...RENEWAL, code: 123456 }, 'code'],
    ['a field too many', { ...RENEWAL, session: 'mine' }, 'session'],
  ])('with %s is refused by name, and its code stays good', async (_, change, field) => {
    const { cookie, secret } = await memberWithFactor();
    const code = codeOf(secret, 1);
    const { error } = await ask('stepUp', { cookie, body: { code, ...change } });
    expect([error?.code, error?.fields]).toEqual(['INPUT_INVALID', [field]]);
    expect(await tell('stepUp', { cookie, body: { ...RENEWAL, code } })).toEqual([200]);
  });

  it('takes the code of this step or of one beside it, once, and none older than it', async () => {
    const { cookie, secret, shown, id } = await memberWithFactor();
    // The code that confirmed the app was used by that.
    expect(await tell('stepUp', { cookie, body: { ...RENEWAL, code: shown } })).toEqual(WRONG);
    const code = codeOf(secret, 1);
    const next = await stepUp(cookie, { ...RENEWAL, code });
    expect(await tell('stepUp', { cookie: next, body: { ...RENEWAL, code } })).toEqual(WRONG);
    await forgetCodes(id);
    const after = await stepUp(next, { ...RENEWAL, code: codeOf(secret, 1) });
    for (const steps of [-3, -1, 0, 3]) {
      expect([
        steps,
        await tell('stepUp', { cookie: after, body: { ...RENEWAL, code: codeOf(secret, steps) } }),
      ]).toEqual([steps, WRONG]);
    }
  });

  it('takes a recovery code once, however it was typed', async () => {
    const { cookie, codes, id } = await memberWithFactor();
    const typed = codes[0].toUpperCase().replaceAll('-', ' ');
    const next = await stepUp(cookie, { ...RENEWAL, code: typed });
    expect(await look(next)).toEqual({ enrolled: true, recovery_codes_left: 9 });
    expect(await tell('stepUp', { cookie: next, body: { ...RENEWAL, code: codes[0] } })).toEqual(WRONG);
    expect((await entriesOf(id)).at(1)).toEqual({
      action: 'recovery_code_used',
      status: 'success',
      details: { operation: 'renewRecoveryCodes', target: null, session_id: expect.any(String) },
      created_by: id,
    });
  });

  it('takes nobody else’s code', async () => {
    const [mine, theirs] = [await memberWithFactor(), await memberWithFactor()];
    for (const code of [theirs.codes[0], codeOf(theirs.secret, 1)]) {
      expect(await tell('stepUp', { cookie: mine.cookie, body: { ...RENEWAL, code } })).toEqual(WRONG);
    }
    expect(await look(theirs.cookie)).toEqual({ enrolled: true, recovery_codes_left: 10 });
  });

  it('that is refused is noted once an hour', async () => {
    const { cookie, id } = await memberWithFactor();
    const body = { operation: 'revealCredentials', target: 'private_key', code: '00000-00000-00000-00000' };
    for (let n = 0; n < 3; n += 1) expect(await tell('stepUp', { cookie, body })).toEqual(WRONG);
    const entries = await entriesOf(id);
    expect(entries.slice(1)).toEqual([
      {
        action: 'step_up_refused',
        status: 'failed',
        details: { operation: 'revealCredentials', target: 'private_key', session_id: expect.any(String) },
        created_by: id,
      },
    ]);
  });

  it('is tried ten times an hour, wrong codes counted', async () => {
    const { cookie, codes, id } = await memberWithFactor();
    const body = { ...RENEWAL, code: '00000-00000-00000-00000' };
    for (let n = 0; n < 10; n += 1) expect(await tell('stepUp', { cookie, body })).toEqual(WRONG);
    const { status, error, headers } = await ask('stepUp', { cookie, body: { ...RENEWAL, code: codes[0] } });
    expect([status, error?.code]).toEqual([429, 'RATE_LIMITED']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect((await factorOf(id))?.recovery_code_hashes).toHaveLength(10);
  });
});

describe('a hundred wrong codes in a row', () => {
  const wrongOf = async (id: string) => (await factorOf(id))?.wrong_codes;

  it('end what the app’s codes are good for, until a recovery code is shown', async () => {
    const { cookie, secret, codes, id } = await memberWithFactor();
    await db`UPDATE totp_factors SET wrong_codes = 99 WHERE user_id = ${id}`;
    expect(await tell('stepUp', { cookie, body: { ...RENEWAL, code: codeOf(secret, -3) } })).toEqual(WRONG);
    const right = { ...RENEWAL, code: codeOf(secret, 1) };
    expect(await tell('stepUp', { cookie, body: right })).toEqual([403, 'TOTP_LOCKED']);
    const next = await stepUp(cookie, { ...RENEWAL, code: codes[0] });
    expect(await wrongOf(id)).toBe(0);
    expect(await tell('stepUp', { cookie: next, body: right })).toEqual([200]);
  });

  it('are none any more after a right one', async () => {
    const { cookie, secret, id } = await memberWithFactor();
    expect(await tell('stepUp', { cookie, body: { ...RENEWAL, code: codeOf(secret, -3) } })).toEqual(WRONG);
    expect(await wrongOf(id)).toBe(1);
    await stepUp(cookie, { ...RENEWAL, code: codeOf(secret, 1) });
    expect(await wrongOf(id)).toBe(0);
  });
});

describe('the session of a step-up', () => {
  it('gets a new token in a new cookie for as long as it lives, and the old one ends', async () => {
    const { cookie, secret, id } = await memberWithFactor();
    await db`UPDATE sessions SET expires_at = now() + interval '1000 seconds' WHERE user_id = ${id}`;
    const [before] = await db`SELECT id, expires_at FROM sessions WHERE user_id = ${id}`;
    const { cookies } = await ask('stepUp', { cookie, body: { ...RENEWAL, code: codeOf(secret, 1) } });
    expect(cookies).toEqual([
      expect.stringMatching(
        /^__Host-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=(99\d|1000)$/,
      ),
    ]);
    const renewed = cookies[0]?.split(';', 1)[0];
    expect(renewed).not.toBe(cookie);
    expect(await tell('getSession', { cookie })).toEqual(LOGGED_OUT);
    expect(await tell('getSession', { cookie: renewed })).toEqual([200]);
    expect([...(await db`SELECT id, expires_at FROM sessions WHERE user_id = ${id}`)]).toEqual([before]);
  });

  it('of a Mini App gets it in the answer, and no cookie', async () => {
    const { id, secret } = await memberWithFactor();
    const { token } = await startSession(
      { tx: db, sessionSecrets: [SESSION_SECRET] },
      { userId: id, loginMethod: 'miniapp', userAgent: undefined, lifetime: 3600 },
    );
    const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } });
    const body = { ...RENEWAL, code: codeOf(secret, 1) };
    const { data, cookies } = await ask('stepUp', { ...bearer(token), body });
    expect([data.token, cookies]).toEqual([expect.stringMatching(/^[\w-]{43}$/), []]);
    expect(await tell('getSession', bearer(token))).toEqual(LOGGED_OUT);
    expect(await tell('renewRecoveryCodes', bearer(data.token))).toEqual([200]);
  });

  it('keeps its token, and the member his factor, when the code is wrong', async () => {
    const { cookie } = await memberWithFactor();
    expect(await tell('stepUp', { cookie, body: { ...RENEWAL, code: '123456' } })).toEqual(WRONG);
    expect(await tell('getSession', { cookie })).toEqual([200]);
  });
});

describe('new recovery codes', () => {
  it('need a step-up, take the place of the old ones, and are written down', async () => {
    const { cookie, codes, id } = await memberWithFactor();
    expect(await tell('renewRecoveryCodes', { cookie })).toEqual(UNCONFIRMED);
    const next = await stepUp(cookie, { ...RENEWAL, code: codes[0] });
    const { recovery_codes: renewed } = (await ask('renewRecoveryCodes', { cookie: next })).data;
    expect(renewed).toHaveLength(10);
    expect(await tell('stepUp', { cookie: next, body: { ...RENEWAL, code: codes[1] } })).toEqual(WRONG);
    const last = await stepUp(next, { ...RENEWAL, code: renewed[9] });
    expect(await look(last)).toEqual({ enrolled: true, recovery_codes_left: 9 });
    expect(await actionsOf(id)).toContain('recovery_codes_renewed');
  });
});

describe('disabling', () => {
  it('needs a step-up of its own, removes the factor, and voids what was confirmed', async () => {
    const { cookie, codes, secret, id } = await memberWithFactor();
    let current = await stepUp(cookie, { ...RENEWAL, code: codes[0] });
    expect(await tell('disableTotp', { cookie: current })).toEqual(UNCONFIRMED);
    current = await stepUp(current, { operation: 'disableTotp', code: codeOf(secret, 1) });
    expect(await ask('disableTotp', { cookie: current })).toMatchObject({ status: 200, data: NO_FACTOR });
    expect(await look(current)).toEqual(NO_FACTOR);
    expect(await factorOf(id)).toBeUndefined();
    expect(await openStepUps(id)).toBe(0);
    expect(await tell('renewRecoveryCodes', { cookie: current })).toEqual(UNCONFIRMED);
    expect(await tell('stepUp', { cookie: current, body: { ...RENEWAL, code: codes[1] } })).toEqual(NONE);
    expect((await entriesOf(id)).at(-1)).toMatchObject({ action: 'second_factor_removed', created_by: id });
    // Right after a login, another one can be set up.
    expect(await tell('enrollTotp', { cookie: current })).toEqual([200]);
  });

  it('of a factor that is gone says so', async () => {
    const { cookie, secret, id } = await memberWithFactor();
    const next = await stepUp(cookie, { operation: 'disableTotp', code: codeOf(secret, 1) });
    await db`DELETE FROM totp_factors WHERE user_id = ${id}`;
    expect(await tell('disableTotp', { cookie: next })).toEqual(NONE);
    await stepUpByHand(id, 'renewRecoveryCodes');
    expect(await tell('renewRecoveryCodes', { cookie: next })).toEqual(NONE);
  });
});

const stepUpByHand = (userId: string, operation: string) => db`
  INSERT INTO step_ups (session_id, user_id, operation, expires_at)
  SELECT id, user_id, ${operation}, now() + interval '5 minutes' FROM sessions WHERE user_id = ${userId}`;
