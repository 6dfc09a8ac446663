import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../../lib/brands.ts';
import { newK256Key } from '../../../../lib/identity/keys.ts';
import { signOperation } from '../../../../lib/identity/plc/operation.ts';
import { createInviteCode, getAccountInfo } from '../../../../lib/pds/client/admin.ts';
import { submitOperation } from '../../../../lib/pds/plc/directory.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { storeProviders } from '../../../../lib/pds/providers.ts';
import { openFromMapping } from '../../../../lib/provisioning/secrets.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { identityOf, rowOf } from '../../provisioning/stage.ts';
import { faultyTo, memberOf, openTwoPds, remoteId, type TwoPds } from '../../provisioning/two-pds.ts';
import { type Ending, openEnding } from './ending.ts';
import { tracesOf } from './traces.ts';

let directory: Plc;
let two: TwoPds;
let ending: Ending;
beforeAll(async () => {
  directory = await startPlc();
  two = await openTwoPds({ plcUrl: directory.url });
  ending = await openEnding(two, { providers: await two.providers() });
});
afterAll(async () => {
  await ending.close();
  await two.close();
  await directory.stop();
});

const accountAt = (place: 'pds' | 'remote', did: string | null) =>
  getAccountInfo(pdsAdmin(two[place]), did as Did);

describe('deleting an identity with accounts in two places', () => {
  /** Whose createAccount at the local PDS ended unseen, and who lives at the remote one. */
  async function leftBehind() {
    const { userId, queueId } = await memberOf(ending.bench, 'local');
    const network = faultyTo(two.pds, ({ nsid, send }) =>
      nsid.endsWith('createAccount')
        ? send().then(() => Promise.reject(new TypeError('fetch failed')))
        : undefined,
    );
    expect(await performWork({ ...ending.deps, fetch: network.fetch }, queueId)).toBe('done');
    const { pds_did } = await identityOf(ending.bench, userId);
    expect(await accountAt('pds', pds_did)).toBeDefined();
    return { userId, did: pds_did };
  }

  it('deletes what a failover has left, once nothing can be running any more, and deactivates the rest', async () => {
    const { userId, did } = await leftBehind();
    const work = await ending.deletion(userId);
    expect(await performWork(ending.deps, work)).toBe('parked');
    expect(await rowOf(ending.bench, work)).toMatchObject({ parked_reason: 'outcome_unknown' });
    expect(await ending.untilOver(work)).toBeUndefined();
    expect(await accountAt('pds', did)).toBeUndefined();
    expect(await accountAt('remote', did)).toBeDefined();
    expect(await tracesOf(ending.db, userId)).toEqual([]);
    const notices = await ending.db`SELECT subject FROM operator_notices WHERE kind = 'account_left'`;
    expect(notices).toEqual([{ subject: expect.stringContaining(`at ${remoteId(two)}: deactivated`) }]);
  });

  it('ends one whose creation nobody saw end, and of which nobody ever heard again', async () => {
    const { userId, queueId } = await memberOf(ending.bench, 'local');
    const local = ending.deps.providers.filter(({ id }) => id === 'local');
    const network = faultyTo(two.pds, ({ nsid, send }) =>
      nsid.endsWith('createAccount')
        ? send().then(() => Promise.reject(new TypeError('fetch failed')))
        : undefined,
    );
    await performWork({ ...ending.deps, providers: local, fetch: network.fetch }, queueId);
    const { pds_did, provisioning_step } = await identityOf(ending.bench, userId);
    expect(provisioning_step).toBe('reserved');
    const work = await ending.deletion(userId);
    expect(await performWork(ending.deps, work)).toBe('parked');
    expect(await ending.untilOver(work)).toBeUndefined();
    expect(await accountAt('pds', pds_did)).toBeUndefined();
    expect(await tracesOf(ending.db, userId)).toEqual([]);
  });
});

describe('deleting a did:plc', () => {
  const log = (did: string | null) => readPlcLog({ fetch, plcUrl: directory.url }, did as Did);
  beforeAll(async () => {
    const inviteCode = await createInviteCode(pdsAdmin(two.pds), { uses: 100 });
    const [local] = await two.providers();
    if (!local) throw new Error('no provider');
    const providers = [{ ...local, inviteCode }];
    Object.assign(ending.deps, { providers, naming: { ...ending.deps.naming, didMethod: 'plc' } });
    await storeProviders(ending.bench.sql, providers);
  });

  it('ends the DID in the directory, also when that was down meanwhile', async () => {
    const [userId = ''] = await ending.members(1);
    const { pds_did } = await identityOf(ending.bench, userId);
    const work = await ending.deletion(userId);
    const outside = { ...ending.deps.outside, plcUrl: 'http://127.0.0.1:9' };
    expect(await performWork({ ...ending.deps, outside }, work)).toBe('parked');
    expect(await rowOf(ending.bench, work)).toMatchObject({ parked_reason: 'plc_down' });
    expect((await log(pds_did)).data).toBeDefined();
    expect(await ending.untilOver(work)).toBeUndefined();
    expect((await log(pds_did)).data).toBeUndefined();
    expect(await accountAt('pds', pds_did)).toBeUndefined();
    expect(await tracesOf(ending.db, userId)).toEqual([]);
    expect(await tracesOf(ending.db, pds_did ?? '')).toEqual([]);
  });

  it('forgets after a week also whose directory never comes back', async () => {
    const [userId = ''] = await ending.members(1);
    const { pds_did } = await identityOf(ending.bench, userId);
    const work = await ending.deletion(userId);
    const outside = { ...ending.deps.outside, plcUrl: 'http://127.0.0.1:9' };
    expect(await performWork({ ...ending.deps, outside }, work)).toBe('parked');
    await ending.db`UPDATE pds_changes SET due_at = now() - interval '8 days' WHERE user_id = ${userId}`;
    ending.skip(60_000);
    expect(await performWork({ ...ending.deps, outside }, work)).toBe('done');
    expect(await tracesOf(ending.db, userId)).toEqual([]);
    expect((await log(pds_did)).data).toBeDefined();
  });

  it('leaves it to the member who has a key above ours, and to him alone', async () => {
    const [userId = ''] = await ending.members(1);
    const identity = await identityOf(ending.bench, userId);
    const did = identity.pds_did as Did;
    const key = await openFromMapping(
      ending.deps.vault,
      identity,
      'rotation_key_sealed',
      identity.rotation_key_sealed ?? '',
    );
    const own = newK256Key();
    const mine = `did:key:${own.publicKeyMultibase}`;
    const { data, head } = await log(did);
    if (data === undefined) throw new Error('no DID');
    const plc = { fetch, plcUrl: directory.url };
    const rotationKeys = [mine, ...data.rotationKeys];
    await submitOperation(plc, did, signOperation({ ...data, rotationKeys }, head, key));
    expect(await ending.untilOver(await ending.deletion(userId))).toBeUndefined();
    const left = await log(did);
    expect(left.data).toMatchObject({ rotationKeys: [mine], alsoKnownAs: [], services: {} });
    if (left.data === undefined) throw new Error('no DID');
    const moved = { ...left.data, alsoKnownAs: ['at://elsewhere.test'] };
    await submitOperation(plc, did, signOperation(moved, left.head, own.privateKey));
    expect((await log(did)).data).toMatchObject({ alsoKnownAs: ['at://elsewhere.test'] });
  });
});
