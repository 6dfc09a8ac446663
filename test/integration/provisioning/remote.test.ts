import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../infra/local/atproto/pds.ts';
import type { Did } from '../../../lib/brands.ts';
import { createInviteCode, updateAccountPassword } from '../../../lib/pds/client/admin.ts';
import type { Provider } from '../../../lib/pds/provider.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { relay } from '../../../lib/provisioning/queue/relay.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { type Bench, identityOf, type Member, openBench, rowOf } from './stage.ts';
import { faultyTo, openTwoPds, remoteId, type TwoPds, useProviders } from './two-pds.ts';
import { expectWorkingIdentity } from './working-identity.ts';

describe('remote mode', () => {
  let two: TwoPds;
  let bench: Bench;
  beforeAll(async () => {
    two = await openTwoPds();
  });
  afterAll(() => two.close());
  beforeEach(async () => {
    bench = await openBench(two, { providers: [remote({})] });
  });
  afterEach(() => bench.close());

  const remote = (rights: Partial<Provider>): Provider => ({
    id: remoteId(two),
    endpoint: two.remote.url,
    weight: 1,
    ...rights,
  });
  const expectLivesThere = (userId: string) =>
    expectWorkingIdentity({ ...two, pds: two.remote }, bench, userId);
  const retry = ({ userId }: Member) => bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry' }));
  const notices = async () =>
    (await bench.sql<{ kind: string; subject: string }[]>`SELECT kind, subject FROM operator_notices`).filter(
      ({ kind }) => kind === 'invite_needed',
    );

  it('with neither code nor password says what is missing, and does not even try', async () => {
    const member = await bench.member();
    const network = faultyTo(two.remote, () => undefined);
    expect(await performWork({ ...bench.deps, fetch: network.fetch }, member.queueId)).toBe('failed');
    expect(network.asked).toEqual(['com.atproto.server.describeServer']);
    const { error_code, error_message } = await identityOf(bench, member.userId);
    expect(error_code).toBe('NO_INVITE');
    expect(error_message).toMatch(/PDS_REMOTE_INVITE_CODE, or set PDS_REMOTE_ADMIN_PASSWORD/);
    expect(await notices()).toEqual([{ kind: 'invite_needed', subject: remoteId(two) }]);
  });

  it('goes on with the same identity when operators entered another code for one that is used up', async () => {
    const inviteCode = await createInviteCode(pdsAdmin(two.remote), { uses: 1 });
    await useProviders(bench, [remote({ inviteCode })]);
    const first = await bench.member();
    expect(await performWork(bench.deps, first.queueId)).toBe('done');
    const second = await bench.member();
    expect(await performWork(bench.deps, second.queueId)).toBe('failed');
    const before = await identityOf(bench, second.userId);
    expect(before).toMatchObject({ status: 'error', error_code: 'NO_INVITE' });
    expect(await notices()).toHaveLength(1);
    const another = await createInviteCode(pdsAdmin(two.remote), { uses: 1 });
    await useProviders(bench, [remote({ inviteCode: another })]);
    await retry(second);
    expect(await performWork(bench.deps, second.queueId)).toBe('done');
    const { pds_did } = await expectLivesThere(second.userId);
    expect(pds_did).toBe(before.pds_did);
  });

  it('makes its own invite codes with the admin password', async () => {
    await useProviders(bench, [remote({ adminPassword: two.remote.adminPassword })]);
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLivesThere(userId);
  });

  it('counts a refused admin password as none', async () => {
    await useProviders(bench, await invited({ adminPassword: 'not the right one' }));
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLivesThere(userId);
  });

  it('without admin rights does not reset a password that was changed, and says whose turn it is', async () => {
    await useProviders(bench, await invited());
    const member = await bench.member();
    const network = faultyTo(two.remote, ({ nsid }) =>
      nsid.endsWith('activateAccount') ? Promise.reject(new Error('cut')) : undefined,
    );
    expect(await performWork({ ...bench.deps, fetch: network.fetch }, member.queueId)).toBe('parked');
    const { pds_did } = await identityOf(bench, member.userId);
    await updateAccountPassword(pdsAdmin(two.remote), { did: pds_did as Did, password: 'another' });
    await retry(member);
    expect(await performWork(bench.deps, member.queueId)).toBe('failed');
    const { error_code, error_message } = await identityOf(bench, member.userId);
    expect(error_code).toBe('ACCOUNT_LOCKED');
    expect(error_message).toContain('set PDS_REMOTE_ADMIN_PASSWORD');
  });

  it('leaves who lives with a provider of before where he is: checked with his own rights, like anybody', async () => {
    await useProviders(bench, await invited());
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await useProviders(bench, [
      { id: 'local', endpoint: two.pds.url, weight: 1, adminPassword: two.pds.adminPassword },
    ]);
    const [check] = await bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'verify'`;
    expect(await performWork(bench.deps, check?.id ?? '')).toBe('done');
    expect(await expectLivesThere(userId)).toMatchObject({ verification_status: 'accessible' });
    const [{ capabilities }] = await bench.sql<[{ capabilities: string[] }]>`
      SELECT capabilities FROM pds_providers WHERE id = ${remoteId(two)}`;
    expect(capabilities).toEqual(['list_repos']);
  });

  it('moves who was still waiting there to the provider of now', async () => {
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('failed');
    await useProviders(bench, [
      { id: 'local', endpoint: two.pds.url, weight: 1, adminPassword: two.pds.adminPassword },
    ]);
    await retry({ userId, queueId });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    expect(await rowOf(bench, queueId)).toMatchObject({ attempt_count: 0 });
    await expectWorkingIdentity(two, bench, userId);
  });

  it('moves who waits in the line of a provider of before, however long that one is busy', async () => {
    await useProviders(bench, await invited());
    await bench.sql`UPDATE pds_providers SET throttled_until = now() + interval '1 day' WHERE id = ${remoteId(two)}`;
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    await useProviders(bench, [
      { id: 'local', endpoint: two.pds.url, weight: 1, adminPassword: two.pds.adminPassword },
    ]);
    await relay(bench.deps);
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectWorkingIdentity(two, bench, userId);
  });

  async function invited(rights: Partial<Provider> = {}): Promise<Provider[]> {
    const inviteCode = await createInviteCode(pdsAdmin(two.remote), { uses: 100 });
    return [remote({ inviteCode, ...rights })];
  }
});
