import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { startSession } from '../../../../lib/auth/session/session.ts';
import { tokenHashes } from '../../../../lib/auth/session/session-cookie.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import { newMemberKey } from '../../../../lib/identity/keys.ts';
import { revealCredentials } from '../../../../lib/lifecycle/api.ts';
import { type Credential, revealCredential } from '../../../../lib/lifecycle/custody/reveal.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault, type Vault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { codeOf, memberWithFactor, stepUp, verdict } from '../../auth/second-factor.ts';
import {
  type Call,
  call,
  ENCRYPTION_KEY,
  logIn,
  newcomer,
  SESSION_SECRET,
  setEnvironment,
} from '../../http/app.ts';
import { giveIdentity } from '../active-identity.ts';

const UNCONFIRMED = [403, 'STEP_UP_REQUIRED'];
const TROUBLE = [500, 'INTERNAL'];

let database: TestDatabase;
let db: Sql;
let vault: Vault;
let handler: ApiHandler;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = connect(database.superuserUrl, { max: 4 });
  vault = createVault({ sql: db, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
  ({ handler } = await import('../../../../functions/lifecycle/reveal-credentials.ts'));
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

type Owner = { id: string; cookie: string } & Awaited<ReturnType<typeof giveIdentity>>;
let owner: Owner;
beforeEach(async () => {
  owner = await newOwner();
});

async function newOwner(): Promise<Owner> {
  const user = newcomer();
  const cookie = await logIn(user);
  const id = String(user.id);
  return { id, cookie, ...(await giveIdentity({ sql: db, vault }, id)) };
}

const reveal = (credential: unknown, options: Call = { cookie: owner.cookie }) =>
  call(handler, revealCredentials, { body: { credential }, ...options });
const attempt = (credential: unknown, options?: Call) => verdict(reveal(credential, options));

/** A step-up as it is stored, of the owner's session unless a column says otherwise. */
async function confirm(change: Record<string, unknown> = {}) {
  const token = owner.cookie.slice(owner.cookie.indexOf('=') + 1);
  const [session] = await db`
    SELECT id FROM sessions WHERE token_hmac IN ${db(tokenHashes([SESSION_SECRET], token))}`;
  const row = {
    session_id: session?.id,
    user_id: owner.id,
    operation: 'revealCredentials',
    target: 'private_key',
    expires_at: new Date(Date.now() + 60_000),
    ...change,
  };
  await db`INSERT INTO step_ups ${db(row)}`;
}

async function log() {
  const [{ pnptv_uuid } = { pnptv_uuid: '' }] = await db<{ pnptv_uuid: string }[]>`
    SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${owner.id}`;
  expect(await verifyMember(db, pnptv_uuid)).toMatchObject({ intact: true });
  const rows = await db`
    SELECT status, details, error_code, created_by FROM pds_provisioning_log
    WHERE user_id = ${owner.id} AND action = 'credentials_revealed' ORDER BY seq`;
  return [...rows];
}
const statuses = async () => (await log()).map(({ status }) => status);
const unspent = async () =>
  (await db`SELECT FROM step_ups WHERE user_id = ${owner.id} AND used_at IS NULL`).count;

describe('a credential', () => {
  it('is the private key, whose public half the DID document shows', async () => {
    await confirm();
    const { data, headers } = await reveal('private_key');
    expect(data).toEqual({
      credential: 'private_key',
      pds_did: owner.did,
      key_id: `${owner.did}#pnptv-1`,
      public_key_multibase: owner.publicKeyMultibase,
      private_key: owner.privateKey,
    });
    const seed = Buffer.from(data.private_key, 'base64url');
    expect(newMemberKey(() => seed).publicKeyMultibase).toBe(data.public_key_multibase);
    expect(headers['cache-control']).toBe('no-store');
  });

  it('is the password, with where and as whom to log in', async () => {
    await confirm({ target: 'account_password' });
    expect((await reveal('account_password')).data).toEqual({
      credential: 'account_password',
      pds_did: owner.did,
      pds_handle: `@${owner.handle}`,
      pds_endpoint: 'https://pds.pnptv.test',
      password: owner.password,
    });
  });

  it('is neither token, nor anything else', async () => {
    for (const credential of ['refresh_token', 'bootstrap_key', '', null, ['private_key']]) {
      await confirm({ target: String(credential) });
      expect(await attempt(credential)).toEqual([400, 'INPUT_INVALID']);
    }
  });

  it('is in the log before it is opened, and once more when it leaves; itself it is not', async () => {
    await confirm();
    await reveal('private_key');
    const entry = {
      details: { credential: 'private_key', session_id: expect.any(String) },
      error_code: null,
      created_by: owner.id,
    };
    expect(await log()).toEqual([
      { status: 'pending', ...entry },
      { status: 'success', ...entry },
    ]);
    const rows = await db<{ text: string }[]>`SELECT l::text AS text FROM pds_provisioning_log l`;
    expect(JSON.stringify(rows)).not.toContain(owner.privateKey);
  });

  it('is opened when its intent is committed, and not before', async () => {
    await confirm();
    const [{ session_id: sessionId } = { session_id: '' }] = await db<{ session_id: string }[]>`
      SELECT session_id FROM step_ups WHERE user_id = ${owner.id}`;
    const need = {
      userId: owner.id,
      sessionId,
      operation: 'revealCredentials',
      target: 'private_key',
      used: false,
    };
    const seen: unknown[] = [];
    const dataKeys: Vault['dataKeys'] = {
      ...vault.dataKeys,
      async use(id, work) {
        seen.push(await statuses());
        return vault.dataKeys.use(id, work);
      },
    };
    const sql = connect(database.apiUrl);
    await revealCredential({ sql, vault: { ...vault, dataKeys } }, need, 'private_key');
    await sql.end();
    expect(seen).toEqual([['pending']]);
  });

  it('is revealed after a real step-up, from a browser and from a Mini App', async () => {
    const { id, cookie, secret, codes } = await memberWithFactor();
    const { privateKey, password } = await giveIdentity({ sql: db, vault }, id);
    const operation = 'revealCredentials';
    const next = await stepUp(cookie, { operation, target: 'private_key', code: codeOf(secret, 1) });
    expect((await reveal('private_key', { cookie: next })).data.private_key).toBe(privateKey);
    expect(await attempt('private_key', { cookie: next })).toEqual(UNCONFIRMED);

    const { token } = await startSession(
      { tx: db, sessionSecrets: [SESSION_SECRET] },
      { userId: id, loginMethod: 'miniapp', userAgent: undefined, lifetime: 3600 },
    );
    const { handler: steppingUp } = await import('../../../../functions/auth/step-up.ts');
    const { stepUp: contract } = await import('../../../../lib/auth/api.ts');
    const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } });
    const body = { operation, target: 'account_password', code: codes[0] };
    const { data } = await call(steppingUp, contract, { ...bearer(token), body });
    expect((await reveal('account_password', bearer(data.token))).data.password).toBe(password);
  });
});

describe('without its step-up, no credential', () => {
  const STEP_UPS: [string, () => Promise<void>][] = [
    ['none', async () => {}],
    ['one for another target', () => confirm({ target: 'account_password' })],
    ['one for no target', () => confirm({ target: null })],
    ['one for another operation', () => confirm({ operation: 'restoreBackup' })],
    ['one that has expired', () => confirm({ expires_at: new Date(Date.now() - 1) })],
    ['one that was used', () => confirm({ used_at: new Date() })],
    ['one of another session', async () => confirm({ session_id: await newSessionOf(owner.id) })],
    ['one of another member', async () => confirm({ user_id: (await newOwner()).id })],
    [
      'one of another member’s session',
      async () => {
        const { id } = await newOwner();
        await confirm({ user_id: id, session_id: await newSessionOf(id) });
      },
    ],
  ];
  const newSessionOf = async (userId: string) => {
    const deps = { tx: db, sessionSecrets: [SESSION_SECRET] as const };
    await startSession(deps, { userId, loginMethod: 'widget', userAgent: undefined });
    const [session] =
      await db`SELECT id FROM sessions WHERE user_id = ${userId} ORDER BY created_at DESC LIMIT 1`;
    return session?.id;
  };

  it.each(STEP_UPS)('is revealed: %s', async (_, make) => {
    await make();
    expect(await attempt('private_key')).toEqual(UNCONFIRMED);
    expect(await log()).toEqual([]);
  });

  it('is revealed when the session that has it is over', async () => {
    await confirm();
    await db`UPDATE sessions SET revoked_at = now() WHERE user_id = ${owner.id}`;
    expect(await attempt('private_key')).toEqual([401, 'SESSION_REQUIRED']);
    expect(await log()).toEqual([]);
  });

  it('is revealed twice: of twenty requests at the same time one gets it', async () => {
    await confirm();
    const wide = connect(database.apiUrl, { max: 20 });
    const [stored] = await db<
      { session_id: string }[]
    >`SELECT session_id FROM step_ups WHERE user_id = ${owner.id}`;
    const need = () => ({
      userId: owner.id,
      sessionId: stored?.session_id ?? '',
      operation: 'revealCredentials',
      target: 'private_key',
      used: false,
    });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => revealCredential({ sql: wide, vault }, need(), 'private_key')),
    );
    await wide.end();
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(19);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'STEP_UP_REQUIRED' });
    expect(await statuses()).toEqual(['pending', 'success']);
  });

  it('is revealed of an identity that is not active, and the step-up stays good', async () => {
    await confirm();
    for (const status of ['pending', 'error', 'revoked']) {
      await db`UPDATE user_pds_mapping SET status = ${status} WHERE user_id = ${owner.id}`;
      expect([status, await attempt('private_key')]).toEqual([status, [409, 'IDENTITY_NOT_READY']]);
    }
    expect([await unspent(), await log()]).toEqual([1, []]);
  });
});

it('is no password of an account that its member is still moving into: he may come home, and what he wrote there would not', async () => {
  await db`
    INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by)
    SELECT user_id, pnptv_uuid, 'move', user_id FROM user_pds_mapping WHERE user_id = ${owner.id}`;
  for (const step of ['published', 'coming_home', 'activated', 'written']) {
    await db`UPDATE pds_changes SET step = ${step} WHERE user_id = ${owner.id}`;
    await confirm({ target: 'account_password' });
    expect([step, await attempt('account_password')]).toEqual([step, [409, 'CHANGE_IN_PROGRESS']]);
  }
  expect([await unspent(), await log()]).toEqual([4, []]);
  await confirm();
  expect((await reveal('private_key')).status).toBe(200);
  await db`UPDATE pds_changes SET step = 'returned' WHERE user_id = ${owner.id}`;
  expect((await reveal('account_password')).data.password).toBe(owner.password);
});

describe('what cannot be logged', () => {
  const whole = async (credential: Credential) => JSON.stringify(await reveal(credential));

  it('is not released: without the first entry the step-up is unspent', async () => {
    await confirm();
    await db`REVOKE INSERT ON pds_provisioning_log FROM pds_api`;
    try {
      expect(await attempt('private_key')).toEqual(TROUBLE);
      expect(await whole('private_key')).not.toContain(owner.privateKey);
    } finally {
      await db`GRANT INSERT ON pds_provisioning_log TO pds_api`;
    }
    expect([await unspent(), await log()]).toEqual([1, []]);
    expect((await reveal('private_key')).data.private_key).toBe(owner.privateKey);
  });

  it('is not released: without the second entry the first one tells that it was tried', async () => {
    await confirm();
    await db.unsafe(`
      CREATE FUNCTION refuse_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.status <> 'pending' THEN RAISE EXCEPTION 'the disk is full'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER outcomes BEFORE INSERT ON pds_provisioning_log FOR EACH ROW EXECUTE FUNCTION refuse_outcomes();`);
    try {
      expect(await whole('private_key')).not.toContain(owner.privateKey);
    } finally {
      await db.unsafe('DROP TRIGGER outcomes ON pds_provisioning_log; DROP FUNCTION refuse_outcomes()');
    }
    expect([await unspent(), await statuses()]).toEqual([0, ['pending']]);
  });

  it('is not released: nor is a secret that does not open, and that is written down', async () => {
    await confirm();
    await db`UPDATE user_pds_mapping SET credential_version = 2 WHERE user_id = ${owner.id}`;
    expect(await attempt('private_key')).toEqual(TROUBLE);
    expect((await log()).map(({ status, error_code }) => [status, error_code])).toEqual([
      ['pending', null],
      ['failed', 'SEALED_VALUE_UNREADABLE'],
    ]);
  });
});

it('reveals ten times an hour', async () => {
  for (let n = 0; n < 10; n += 1) {
    await confirm();
    expect(await attempt('private_key')).toEqual([200]);
  }
  await confirm();
  expect(await attempt('private_key')).toEqual([429, 'RATE_LIMITED']);
  expect(await unspent()).toBe(1);
});
