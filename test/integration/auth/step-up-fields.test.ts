import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { createAppPassword, requestHandOver } from '../../../lib/lifecycle/api.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { call, ENCRYPTION_KEY, setEnvironment } from '../http/app.ts';
import { giveIdentity } from '../lifecycle/active-identity.ts';
import { ask, memberWithFactor, stepUp } from './second-factor.ts';
import { steppedUp } from './stepped-up.ts';

/** What a step-up for several fields opens, and what not: the routes as they run, for a member whose PDS answers nobody. */
const KEY = 'did:key:zQ3shR6ZRPvP3QHbGnJXBFBYyniEZuW13ZL9urvob9EiNf6AW';
const THERE = { endpoint: 'https://pds.invalid', atproto_key: KEY };
const APP = { name: 'My phone' };
const UNCONFIRMED = 'STEP_UP_REQUIRED';

let database: TestDatabase;
let db: Sql;
let handlers: Record<'requestHandOver' | 'createAppPassword', ApiHandler>;
let member: Awaited<ReturnType<typeof memberWithFactor>>;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database, { PDS_LOCAL_ENDPOINT: 'http://127.0.0.1:9' });
  db = connect(database.superuserUrl, { max: 2 });
  handlers = {
    requestHandOver: (await import('../../../functions/lifecycle/request-hand-over.ts')).handler,
    createAppPassword: (await import('../../../functions/lifecycle/create-app-password.ts')).handler,
  };
  member = await memberWithFactor();
  const vault = createVault({ sql: db, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
  await giveIdentity({ sql: db, vault }, member.id);
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const CONTRACTS = { requestHandOver, createAppPassword };
type Operation = keyof typeof CONTRACTS;
/** Confirms the operation for this target with one of his recovery codes. */
async function confirm(operation: Operation, target: object) {
  await db`DELETE FROM rate_limits`;
  const code = member.codes.shift() ?? '';
  member.cookie = await stepUp(member.cookie, { operation, target, code });
}
const outcome = async (operation: Operation, body: object) => {
  const { cookie } = member;
  return (await call(handlers[operation], CONTRACTS[operation], { cookie, body })).error?.code;
};

describe('a step-up for several fields', () => {
  it('opens the request that has all of them, and no other', async () => {
    await confirm('requestHandOver', { ...THERE, handle: 'alice.example' });
    for (const body of [
      THERE,
      { ...THERE, handle: 'mallory.example' },
      { ...THERE, handle: 'alice.example', endpoint: 'https://other.invalid' },
      { ...THERE, handle: 'alice.example', rotation_keys: [KEY] },
      {
        ...THERE,
        handle: 'alice.example',
        atproto_key: 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme',
      },
    ]) {
      expect([body, await outcome('requestHandOver', body)]).toEqual([body, UNCONFIRMED]);
    }
    // It is let in, and gets as far as to the PDS that is not there.
    expect(await outcome('requestHandOver', { handle: 'alice.example', ...THERE })).toBe(
      'TARGET_UNREACHABLE',
    );
  });

  it('opens what is read as the same: with a default that is said, or is not', async () => {
    await confirm('createAppPassword', APP);
    expect(await outcome('createAppPassword', { ...APP, privileged: true })).toBe(UNCONFIRMED);
    expect(await outcome('createAppPassword', { ...APP, privileged: false })).toBe('UNAVAILABLE');
    expect(await outcome('createAppPassword', APP)).toBe('UNAVAILABLE');
    await db`UPDATE step_ups SET used_at = now()`;
    expect(await outcome('createAppPassword', APP)).toBe(UNCONFIRMED);
  });

  it('is not in vain because somebody with nothing but the session has asked too often', async () => {
    await db`DELETE FROM rate_limits`;
    const limit = requestHandOver.limits.member.max;
    for (let n = 0; n < limit; n += 1) expect(await outcome('requestHandOver', THERE)).toBe(UNCONFIRMED);
    expect(await outcome('requestHandOver', THERE)).toBe('RATE_LIMITED');
    await steppedUp(db, member.id, 'requestHandOver', THERE);
    expect(await outcome('requestHandOver', THERE)).toBe('TARGET_UNREACHABLE');
    await db`UPDATE rate_limits SET hits = ${limit} WHERE bucket = ${`requestHandOver:${member.id}`}`;
    await steppedUp(db, member.id, 'requestHandOver', THERE);
    expect(await outcome('requestHandOver', THERE)).toBe('RATE_LIMITED');
  });

  it('says what it is for as it was read', async () => {
    const body = { operation: 'createAppPassword', target: APP, code: member.codes.shift() };
    const { data, cookies } = await ask('stepUp', { cookie: member.cookie, body });
    expect(data.target).toEqual({ name: 'My phone', privileged: false });
    member.cookie = cookies[0]?.split(';', 1)[0] ?? '';
    const { cookie } = member;
    const log = await db`
      SELECT details->'target' AS target FROM pds_provisioning_log
      WHERE user_id = ${member.id} AND action = 'recovery_code_used' ORDER BY seq DESC LIMIT 1`;
    expect([cookie.length > 0, log[0]?.target]).toEqual([true, data.target]);
  });

  it.each<[string, unknown, string]>([
    ['not all that it needs', { endpoint: 'https://pds.invalid' }, 'target.atproto_key'],
    ['a field that its route does not read', { ...THERE, endpoint: 'pds.invalid' }, 'target.endpoint'],
    ['a field too many', { ...THERE, issued_at: 'now' }, 'target.issued_at'],
    ['a value that is null', { ...THERE, handle: null }, 'target.handle'],
    ['one wrong value among several', { ...THERE, rotation_keys: [KEY, 'no key'] }, 'target.rotation_keys.1'],
    ['one value instead', THERE.endpoint, 'target'],
    ['a list instead', [THERE.endpoint, KEY], 'target'],
    ['nothing', null, 'target'],
    ['no field', {}, 'target.endpoint'],
  ])('with %s is refused by name', async (_, target, field) => {
    await db`DELETE FROM rate_limits`;
    const body = { operation: 'requestHandOver', target, code: '00000-00000-00000-00000' };
    const { error } = await ask('stepUp', { cookie: member.cookie, body });
    expect([error?.code, error?.fields]).toEqual(['INPUT_INVALID', expect.arrayContaining([field])]);
  });

  it('is none where one value is wanted', async () => {
    const body = { operation: 'revealCredentials', target: { credential: 'private_key' }, code: '123456' };
    const { error } = await ask('stepUp', { cookie: member.cookie, body });
    expect([error?.code, error?.fields]).toEqual(['INPUT_INVALID', ['target']]);
  });
});
