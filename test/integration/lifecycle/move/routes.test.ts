import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import { cancelChange, listChanges, listProviders, moveIdentity } from '../../../../lib/lifecycle/api.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { steppedUp } from '../../auth/stepped-up.ts';
import { call, ENCRYPTION_KEY, logIn, newcomer, setEnvironment } from '../../http/app.ts';
import { giveIdentity } from '../active-identity.ts';

const CONTRACTS = { moveIdentity, listProviders, listChanges, cancelChange };
const THERE = 'remote:pds.elsewhere.test';
let database: TestDatabase;
let db: Sql;
let handlers: Record<keyof typeof CONTRACTS, ApiHandler>;
let userId: string;
let cookie: string;

beforeAll(async () => {
  database = await freshDatabase();
  db = connect(database.superuserUrl, { max: 2 });
  setEnvironment(database);
  handlers = {
    moveIdentity: (await import('../../../../functions/lifecycle/move-identity.ts')).handler,
    listProviders: (await import('../../../../functions/lifecycle/list-providers.ts')).handler,
    listChanges: (await import('../../../../functions/lifecycle/list-changes.ts')).handler,
    cancelChange: (await import('../../../../functions/lifecycle/cancel-change.ts')).handler,
  };
});
afterAll(async () => {
  await db.end();
  await database.drop();
});
beforeEach(async () => {
  const user = newcomer();
  cookie = await logIn(user);
  userId = String(user.id);
  const vault = createVault({ sql: db, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
  await giveIdentity({ sql: db, vault }, userId);
  await db`
    INSERT INTO pds_providers (id, endpoint, capabilities)
    VALUES (${THERE}, 'https://pds.elsewhere.test', '{create,list_repos}'), ('remote:former.test', 'https://former.test', '{list_repos}')
    ON CONFLICT (id) DO UPDATE SET breaker_state = 'closed', breaker_until = NULL, throttled_until = NULL`;
});

const ask = (operation: keyof typeof CONTRACTS, options: object = {}) =>
  call(handlers[operation], CONTRACTS[operation], { cookie, ...options });
const showSecondFactor = (provider: string) => steppedUp(db, userId, 'moveIdentity', provider);
const move = async (provider: string) => {
  await showSecondFactor(provider);
  return ask('moveIdentity', { body: { provider } });
};
const targets = async () =>
  (await ask('listProviders')).data.map(({ provider, takes_you, reason }: Record<string, unknown>) => [
    provider,
    takes_you,
    reason,
  ]);

it('shows where he lives and where he could, and nothing of a PDS that the settings do not name', async () => {
  expect((await ask('listProviders')).data).toEqual([
    { provider: 'local', host: '127.0.0.1:3000', current: true, takes_you: false, reason: 'current' },
    { provider: THERE, host: 'pds.elsewhere.test', current: false, takes_you: true, reason: null },
  ]);
  const state = (change: object) => db`UPDATE pds_providers SET ${db(change)} WHERE id = ${THERE}`;
  await state({ breaker_state: 'open', breaker_until: new Date(Date.now() + 60_000) });
  expect(await targets()).toContainEqual([THERE, false, 'down']);
  await state({
    breaker_state: 'closed',
    breaker_until: null,
    throttled_until: new Date(Date.now() + 60_000),
  });
  expect(await targets()).toContainEqual([THERE, false, 'busy']);
});

it('moves only who has shown his second factor for this very PDS, and says when it cannot be', async () => {
  expect((await ask('moveIdentity', { body: { provider: THERE } })).error?.code).toBe('STEP_UP_REQUIRED');
  await showSecondFactor('local');
  expect((await ask('moveIdentity', { body: { provider: THERE } })).error?.code).toBe('STEP_UP_REQUIRED');
  expect((await move('local')).error?.code).toBe('MOVE_ALREADY_THERE');
  expect((await move('remote:nobody.test')).error?.code).toBe('PROVIDER_NOT_FOUND');
  expect((await move('remote:former.test')).error?.code).toBe('PROVIDER_NOT_FOUND');
});

it('writes a move down once, and takes it back until the new PDS is in use', async () => {
  const { data } = await move(THERE);
  expect((await move(THERE)).data).toEqual(data);
  const params = { id: String(data.change_id) };
  const shown = async () => (await ask('listChanges')).data[0];
  expect(await shown()).toMatchObject({
    kind: 'move',
    step: 'requested',
    cancellable: true,
    waits_for: null,
  });
  const park = (reason: string) =>
    db`UPDATE pds_provisioning_queue SET parked_reason = ${reason} WHERE user_id = ${userId} AND action = 'move'`;
  await park('provider_down');
  expect(await shown()).toMatchObject({ waits_for: 'provider_down' });
  await park('member');
  await db`UPDATE pds_changes SET progress = '{"waits_for": "ACCOUNT_NOT_THERE"}' WHERE id = ${data.change_id}`;
  expect(await shown()).toMatchObject({ waits_for: 'ACCOUNT_NOT_THERE' });
  const reach = (step: string) => db`UPDATE pds_changes SET step = ${step} WHERE id = ${data.change_id}`;
  for (const step of ['coming_home', 'returned', 'activated']) {
    await reach(step);
    expect(await shown()).toMatchObject({ step, cancellable: false });
    expect((await ask('cancelChange', { params })).error?.code).toBe('CHANGE_NOT_CANCELLABLE');
  }
  await reach('published');
  await db`UPDATE pds_provisioning_queue SET next_retry = now() + interval '1 day' WHERE user_id = ${userId}`;
  expect((await ask('cancelChange', { params })).data).toEqual({
    change_id: data.change_id,
    cancelled: false,
  });
  expect(await shown()).toMatchObject({ cancel_wanted: true });
  const [row] = await db`
    SELECT next_retry <= now() AS due FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'move'`;
  expect(row).toEqual({ due: true });
});
