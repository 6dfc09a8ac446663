import { AtpAgent } from '@atproto/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import {
  createAppPassword as createContract,
  listAppPasswords as listContract,
  revokeAppPassword as revokeContract,
} from '../../../../lib/lifecycle/api.ts';
import type { AppPasswordDeps } from '../../../../lib/lifecycle/app-passwords/at-his-pds.ts';
import { createAppPassword, MOST_APP_PASSWORDS } from '../../../../lib/lifecycle/app-passwords/create.ts';
import { revokeAppPassword } from '../../../../lib/lifecycle/app-passwords/revoke.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { loggedInAndSteppedUp, steppedUp } from '../../auth/stepped-up.ts';
import { type Call, call, ENCRYPTION_KEY, logIn } from '../../http/app.ts';
import { type Fault, faultyNetwork, silence } from '../../provisioning/faulty.ts';
import { identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';
import { type Custody, openCustody } from '../custody/custody.ts';

let stage: Stage;
let custody: Custody;
const CONTRACTS = {
  createAppPassword: createContract,
  listAppPasswords: listContract,
  revokeAppPassword: revokeContract,
};
type Operation = keyof typeof CONTRACTS;
let handlers: Record<Operation, ApiHandler>;

beforeAll(async () => {
  stage = await openStage();
  custody = await openCustody(stage, ENCRYPTION_KEY);
  custody.setRouteEnvironment();
  handlers = {
    createAppPassword: (await import('../../../../functions/lifecycle/create-app-password.ts')).handler,
    listAppPasswords: (await import('../../../../functions/lifecycle/list-app-passwords.ts')).handler,
    revokeAppPassword: (await import('../../../../functions/lifecycle/revoke-app-password.ts')).handler,
  };
});
afterAll(async () => {
  await custody.close();
  await stage.close();
});

const ask = (operation: Operation, options: Call) => call(handlers[operation], CONTRACTS[operation], options);
const refusal = (code: string) => expect.objectContaining({ code });

/** A client of somebody else's, at the PDS. */
async function logInAtPds(userId: string, password: string): Promise<AtpAgent> {
  const agent = new AtpAgent({ service: stage.pds.url });
  await agent.login({ identifier: (await identityOf(custody.bench, userId)).pds_did ?? '', password });
  return agent;
}
const agents = new Map<string, AtpAgent>();
/** The member himself, by the password of his account. */
async function ownAgent(userId: string): Promise<AtpAgent> {
  const known = agents.get(userId);
  if (known) return known;
  const identity = await identityOf(custody.bench, userId);
  const agent = await logInAtPds(userId, await opened(custody.bench, identity, 'account_password_sealed'));
  agents.set(userId, agent);
  return agent;
}
async function namesAtPds(userId: string): Promise<string[]> {
  const { data } = await (await ownAgent(userId)).com.atproto.server.listAppPasswords();
  return data.passwords.map(({ name }) => name);
}
const post = (agent: AtpAgent) =>
  agent.com.atproto.repo.createRecord({
    repo: agent.assertDid,
    collection: 'app.bsky.feed.post',
    record: { text: 'from another app', createdAt: new Date().toISOString() },
  });

async function make(
  userId: string,
  name: string,
  changes: Partial<AppPasswordDeps> = {},
  privileged = false,
) {
  const stepUp = await loggedInAndSteppedUp(custody.db, userId, 'createAppPassword', { name, privileged });
  return createAppPassword({ ...custody.deps, ...changes }, { stepUp, name, privileged });
}
const unspent = async (userId: string) =>
  (await custody.db`SELECT FROM step_ups WHERE user_id = ${userId} AND used_at IS NULL`).count;
async function story(userId: string) {
  const rows = await custody.db<{ pnptv_uuid: string; entry: string }[]>`
    SELECT pnptv_uuid, concat_ws(' ', action, status, details->>'name', error_code) AS entry
    FROM pds_provisioning_log WHERE user_id = ${userId} AND action LIKE 'app_password%' ORDER BY seq`;
  if (rows[0]) expect(await verifyMember(custody.db, rows[0].pnptv_uuid)).toMatchObject({ intact: true });
  return rows.map(({ entry }) => entry);
}

describe('an app password', () => {
  it('lets another app in until it is revoked, and nothing here keeps it', async () => {
    const { userId, cookie } = await custody.loggedInMember();
    const body = { name: 'My phone' };
    expect((await ask('createAppPassword', { cookie, body })).error?.code).toBe('STEP_UP_REQUIRED');
    await steppedUp(custody.db, userId, 'createAppPassword', body);
    const { data } = await ask('createAppPassword', { cookie, body });
    expect(data).toEqual({
      name: 'My phone',
      created_at: expect.any(String),
      privileged: false,
      password: expect.stringMatching(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/),
    });
    const app = await logInAtPds(userId, data.password);
    expect((await post(app)).success).toBe(true);
    await expect(app.com.atproto.server.createAppPassword({ name: 'another' })).rejects.toThrow();

    const { password, ...listed } = data;
    expect((await ask('listAppPasswords', { cookie })).data).toEqual([listed]);
    const tables = await custody.db<{ name: string }[]>`
      SELECT table_name AS name FROM information_schema.tables
      WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
    for (const { name } of tables) {
      const rows = await custody.db`SELECT t::text AS row FROM ${custody.db(name)} t`;
      expect(
        rows.some(({ row }) => row.includes(password)),
        name,
      ).toBe(false);
    }

    const revoked = await ask('revokeAppPassword', { cookie, params: { name: 'My%20phone' } });
    expect(revoked.data).toEqual({ name: 'My phone', revoked: true });
    await expect(logInAtPds(userId, password)).rejects.toThrow('Invalid identifier or password');
    await expect(app.sessionManager.refreshSession()).rejects.toThrow();
    const again = await ask('revokeAppPassword', { cookie, params: { name: 'My phone' } });
    expect([again.status, again.error?.code]).toEqual([404, 'APP_PASSWORD_NOT_FOUND']);
    expect((await ask('listAppPasswords', { cookie })).data).toEqual([]);
    expect(await story(userId)).toEqual([
      'app_password_created pending My phone',
      'app_password_created success My phone',
      'app_password_revoked pending My phone',
      'app_password_revoked success My phone',
    ]);
  });

  it('is nobody else’s to see or to revoke', async () => {
    const [owner, other] = [await custody.loggedInMember(), await custody.loggedInMember()];
    await make(owner.userId, 'Tablet');
    expect((await ask('listAppPasswords', { cookie: other.cookie })).data).toEqual([]);
    const foreign = await ask('revokeAppPassword', { cookie: other.cookie, params: { name: 'Tablet' } });
    expect(foreign.error?.code).toBe('APP_PASSWORD_NOT_FOUND');
    expect((await ask('listAppPasswords', {})).error?.code).toBe('SESSION_REQUIRED');
  });

  it.each([
    '',
    ' ',
    ' phone',
    'phone ',
    'a/b',
    '<b>x</b>',
    'é'.normalize('NFD'),
    'x'.repeat(33),
    'a\nb',
    '\u202eenohp',
  ])('has a name that is one: not %j', async (name) => {
    const { error } = await ask('createAppPassword', { cookie: await logIn(), body: { name } });
    expect([error?.code, error?.fields]).toEqual(['INPUT_INVALID', ['name']]);
  });

  it('is privileged only where that was asked for', async () => {
    const userId = await custody.member();
    const scopeOf = async (password: string) => {
      const token = (await logInAtPds(userId, password)).session?.accessJwt ?? '';
      return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).scope;
    };
    expect(await scopeOf((await make(userId, 'plain')).password)).toBe('com.atproto.appPass');
    expect(await scopeOf((await make(userId, 'mail', {}, true)).password)).toBe(
      'com.atproto.appPassPrivileged',
    );
  });

  it('survives another password of the account, and can then still be revoked', async () => {
    const userId = await custody.member();
    const { password } = await make(userId, 'Laptop');
    const identity = await identityOf(custody.bench, userId);
    const own = await opened(custody.bench, identity, 'account_password_sealed');
    await custody.setPassword(userId, 'chosen by the operator');
    expect((await post(await logInAtPds(userId, password))).success).toBe(true);
    // The password that we keep does not open a session any more: that is said, and nothing is written.
    await expect(make(userId, 'other')).rejects.toEqual(refusal('APP_PASSWORDS_REFUSED'));
    await expect(revokeAppPassword(custody.deps, { userId, name: 'Laptop' })).rejects.toEqual(
      refusal('APP_PASSWORDS_REFUSED'),
    );
    expect(await unspent(userId)).toBe(1);
    await custody.setPassword(userId, own);
    await revokeAppPassword(custody.deps, { userId, name: 'Laptop' });
    await expect(logInAtPds(userId, password)).rejects.toThrow('Invalid identifier');
  });

  it('that was made elsewhere, under whatever name, is listed and revoked', async () => {
    const userId = await custody.member();
    const agent = await ownAgent(userId);
    const names = ['100%', '%41', 'A', '日本', '<script>'];
    for (const name of names) await agent.com.atproto.server.createAppPassword({ name });
    await revokeAppPassword(custody.deps, { userId, name: '%41' });
    expect((await namesAtPds(userId)).sort()).toEqual(names.filter((name) => name !== '%41').sort());
    for (const name of ['100%', 'A', encodeURIComponent('日本'), '<script>'])
      await revokeAppPassword(custody.deps, { userId, name });
    expect(await namesAtPds(userId)).toEqual([]);
  });
});

describe('no app password is made', () => {
  let userId: string;
  beforeAll(async () => {
    userId = await custody.member();
  });
  async function expectRefused(name: string, code: string, deps?: Partial<AppPasswordDeps>) {
    const state = async () => [await namesAtPds(userId), await story(userId)];
    const [before, left] = [await state(), await unspent(userId)];
    await expect(make(userId, name, deps)).rejects.toEqual(refusal(code));
    expect(await state()).toEqual(before);
    expect(await unspent(userId)).toBe(left + 1);
  }

  it('by the name of another; once that is revoked, one is', async () => {
    const first = await make(userId, 'Phone');
    await expectRefused('Phone', 'APP_PASSWORD_EXISTS');
    await revokeAppPassword(custody.deps, { userId, name: 'Phone' });
    expect((await make(userId, 'Phone')).password).not.toBe(first.password);
  });

  it('beyond the limit', async () => {
    const agent = await ownAgent(userId);
    const names = Array.from(
      { length: MOST_APP_PASSWORDS - (await namesAtPds(userId)).length },
      (_, n) => `app ${n}`,
    );
    for (const name of names) await agent.com.atproto.server.createAppPassword({ name });
    await expectRefused('one more', 'APP_PASSWORD_LIMIT');
    for (const name of names) await agent.com.atproto.server.revokeAppPassword({ name });
  });

  it('beside a change of the identity, nor for one that is not active', async () => {
    await custody.deps.sql.begin((tx) =>
      requestChange(tx, { userId, kind: 'rename', wish: { handle: 'b' }, by: userId, now: new Date() }),
    );
    await expectRefused('Tablet', 'CHANGE_IN_PROGRESS');
    // Not by one that only waits for its notice, until shortly before that is over.
    const dueIn = (seconds: number) => custody.db`
      UPDATE pds_changes SET due_at = now() + ${seconds} * interval '1 second' WHERE user_id = ${userId} AND ended_at IS NULL`;
    await dueIn(3600);
    expect((await make(userId, 'In time')).name).toBe('In time');
    await dueIn(30);
    await expectRefused('Tablet', 'CHANGE_IN_PROGRESS');
    await custody.db`UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled' WHERE user_id = ${userId}`;
    const setStatus = (status: string) =>
      custody.db`UPDATE user_pds_mapping SET status = ${status} WHERE user_id = ${userId}`;
    await setStatus('revoked');
    await expectRefused('Tablet', 'IDENTITY_NOT_READY');
    await setStatus('active');
  });

  const faults: [string, Fault][] = [
    ['cannot be reached', () => Promise.reject(Object.assign(new TypeError(), { code: 'ECONNREFUSED' }))],
    ['has a bad day', () => Promise.resolve(new Response('oops', { status: 500 }))],
    ['is too busy', () => Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 }))],
    ['hangs', silence],
  ];
  it.each(faults)('while the PDS %s', async (_, fault) => {
    for (const where of ['createSession', 'listAppPasswords']) {
      const network = faultyNetwork((request) => (request.nsid.endsWith(where) ? fault(request) : undefined));
      const before = await unspent(userId);
      await expect(make(userId, 'Tablet', { fetch: network.fetch })).rejects.toEqual(refusal('UNAVAILABLE'));
      expect(await unspent(userId)).toBe(before + 1);
    }
    expect(await namesAtPds(userId)).not.toContain('Tablet');
  });

  it('when the PDS opens a session of somebody else', async () => {
    const answer = { did: 'did:web:other.pnptv.test', accessJwt: 'a', refreshJwt: 'r' };
    const { fetch } = faultyNetwork(() => Promise.resolve(Response.json(answer)));
    await expectRefused('Tablet', 'UNAVAILABLE', { fetch });
  });
});

describe('an answer that gets lost', () => {
  let userId: string;
  beforeAll(async () => {
    userId = await custody.member();
  });
  const creating =
    (fault: Fault): Fault =>
    (request) =>
      request.nsid === 'com.atproto.server.createAppPassword' ? fault(request) : undefined;

  it.each<[string, Fault]>([
    ['on its way', ({ send }) => send().then(silence)],
    ['in a gateway', ({ send }) => send().then(() => new Response('bad gateway', { status: 502 }))],
  ])('%s leaves one that can be seen, revoked and made again', async (_, fault) => {
    const { fetch, asked } = faultyNetwork(creating(fault));
    await expect(make(userId, 'Phone', { fetch })).rejects.toEqual(refusal('APP_PASSWORD_UNCERTAIN'));
    expect(asked.at(-1)).toBe('com.atproto.server.deleteSession');
    expect(await namesAtPds(userId)).toEqual(['Phone']);
    await expect(make(userId, 'Phone')).rejects.toEqual(refusal('APP_PASSWORD_EXISTS'));
    await revokeAppPassword(custody.deps, { userId, name: 'Phone' });
    const { password } = await make(userId, 'Phone');
    await logInAtPds(userId, password);
    expect(await story(userId)).toEqual(
      expect.arrayContaining([
        'app_password_created pending Phone',
        'app_password_created failed Phone APP_PASSWORD_UNCERTAIN',
      ]),
    );
    await revokeAppPassword(custody.deps, { userId, name: 'Phone' });
  });

  it('or cannot be written down by us: then nobody knows it either, and he is told', async () => {
    const { sql } = custody.deps;
    let begun = 0;
    // The first notes what is intended, the second what became of it.
    const begin = (...args: Parameters<typeof sql.begin>) =>
      ++begun > 1 ? Promise.reject(new Error('the connection is gone')) : sql.begin(...args);
    const broken = new Proxy(sql, {
      get: (target, name) => (name === 'begin' ? begin : Reflect.get(target, name)),
    });
    await expect(make(userId, 'Phone', { sql: broken })).rejects.toEqual(refusal('APP_PASSWORD_UNCERTAIN'));
    expect((await story(userId)).at(-1)).toBe('app_password_created pending Phone');
    expect(await namesAtPds(userId)).toEqual(['Phone']);
    await revokeAppPassword(custody.deps, { userId, name: 'Phone' });
  });

  it('of two at once by one name: one is handed out, and the other one says so', async () => {
    let arrived = 0;
    const both = Promise.withResolvers<void>();
    const { fetch } = faultyNetwork(
      creating(({ send }) => {
        arrived += 1;
        if (arrived === 2) both.resolve();
        return both.promise.then(send);
      }),
    );
    const results = await Promise.allSettled([
      make(userId, 'Phone', { fetch }),
      make(userId, 'Phone', { fetch }),
    ]);
    const made = results.filter((result) => result.status === 'fulfilled');
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.map(({ reason }) => reason.code)).toEqual(['APP_PASSWORD_UNCERTAIN']);
    expect(await namesAtPds(userId)).toEqual(['Phone']);
    await logInAtPds(userId, made[0]?.value.password ?? '');
    await revokeAppPassword(custody.deps, { userId, name: 'Phone' });
  });

  it('of a revocation: asking again says that it is gone', async () => {
    await make(userId, 'Phone');
    const { fetch } = faultyNetwork(({ nsid, send }) =>
      nsid.endsWith('revokeAppPassword') ? send().then(silence) : undefined,
    );
    const deps = { ...custody.deps, fetch };
    await expect(revokeAppPassword(deps, { userId, name: 'Phone' })).rejects.toEqual(refusal('UNAVAILABLE'));
    await expect(revokeAppPassword(custody.deps, { userId, name: 'Phone' })).rejects.toEqual(
      refusal('APP_PASSWORD_NOT_FOUND'),
    );
    expect((await story(userId)).at(-1)).toBe('app_password_revoked failed Phone UNAVAILABLE');
  });
});
