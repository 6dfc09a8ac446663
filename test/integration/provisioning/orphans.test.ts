import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../infra/local/atproto/pds.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import type { Did } from '../../../lib/brands.ts';
import { getRepoStatus } from '../../../lib/pds/client/accounts.ts';
import { getAccountInfo, updateAccountPassword } from '../../../lib/pds/client/admin.ts';
import { sealOrphanPassword } from '../../../lib/provisioning/orphans/password.ts';
import { reconcileOrphans } from '../../../lib/provisioning/orphans/reconcile.ts';
import { changeProvider } from '../../../lib/provisioning/providers/change-provider.ts';
import type { Run } from '../../../lib/provisioning/run.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { type Bench, identityOf } from './stage.ts';
import {
  faultyTo,
  memberOf,
  openHybrid,
  openTwoPds,
  remoteId,
  type TwoPds,
  useProviders,
} from './two-pds.ts';
import { expectWorkingIdentity, opened } from './working-identity.ts';

describe('an account that may have been left behind', () => {
  let two: TwoPds;
  let bench: Bench;
  let skipped = 0;
  beforeAll(async () => {
    two = await openTwoPds();
  });
  afterAll(() => two.close());
  beforeEach(async () => {
    skipped = 0;
    bench = await openHybrid(two);
    bench.deps.now = () => new Date(Date.now() + skipped);
  });
  afterEach(() => bench.close());

  const quarantine = () => bench.deps.times.quarantine * 1000;
  /** The schedule fires, a quarter of an hour after the last time. */
  async function reconcile(changes: Partial<Bench['deps']> = {}) {
    skipped += 15 * 60_000;
    const deps = { ...bench.deps, ...changes };
    const results = await reconcileOrphans(deps, new Date(deps.now().getTime() + 3600_000));
    return Object.fromEntries(Object.entries(results).filter(([, count]) => count > 0));
  }
  const stateOf = async (userId: string) => {
    const [row] = await bench.sql`SELECT state FROM pds_possible_orphans WHERE user_id = ${userId}`;
    return row?.state;
  };
  const logOf = async (userId: string) => {
    const rows = await bench.sql<{ details: { outcome: string; provider: string } }[]>`
      SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'orphan_settled' ORDER BY seq`;
    return rows.map(({ details: { outcome, provider } }) => ({ outcome, provider }));
  };
  const notices = () => bench.sql`SELECT kind, subject FROM operator_notices WHERE kind LIKE 'orphan%'`;

  /** A member whose createAccount at the first provider ended unseen, and who lives at the other. */
  async function leftBehind({ at = 'pds', happened }: { at?: 'pds' | 'remote'; happened: boolean }) {
    const [first, second] = at === 'pds' ? (['local', 'remote'] as const) : ([remoteId(two), 'pds'] as const);
    const { userId, queueId } = await memberOf(bench, first);
    const network = faultyTo(two[at], ({ nsid, send }) => {
      if (!nsid.endsWith('createAccount')) return undefined;
      return happened ? send().then(cut) : cut();
    });
    expect(await performWork({ ...bench.deps, fetch: network.fetch }, queueId)).toBe('done');
    const lives = second === 'pds' ? two.pds : two.remote;
    const { pds_did } = await expectWorkingIdentity({ ...two, pds: lives }, bench, userId);
    expect(await stateOf(userId)).toBe('possible');
    const did = pds_did as Did;
    const accountThere = () => getAccountInfo(pdsAdmin(two[at]), did);
    expect((await accountThere()) !== undefined).toBe(happened);
    const expectUnharmed = async () => {
      const identity = await expectWorkingIdentity({ ...two, pds: lives }, bench, userId);
      expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
    };
    return { userId, did, lives, accountThere, expectUnharmed };
  }

  it('is left alone until nothing can be running any more, then deleted, and the log says so', async () => {
    const { userId, accountThere, expectUnharmed } = await leftBehind({ happened: true });
    expect(await reconcileOrphans(bench.deps, new Date(Date.now() + 3600_000))).toMatchObject({
      deleted: 0,
      postponed: 0,
    });
    expect(await accountThere()).toBeDefined();
    expect(await reconcile()).toEqual({ deleted: 1 });
    expect(await accountThere()).toBeUndefined();
    expect(await stateOf(userId)).toBe('deleted');
    expect(await logOf(userId)).toEqual([{ outcome: 'deleted', provider: 'local' }]);
    await expectUnharmed();
    expect(await reconcile()).toEqual({});
  });

  it('is called absent only after a second look', async () => {
    const { userId, expectUnharmed } = await leftBehind({ happened: false });
    expect(await reconcile()).toEqual({ postponed: 1 });
    expect(await stateOf(userId)).toBe('possible');
    expect(await reconcile()).toEqual({ absent: 1 });
    expect(await logOf(userId)).toEqual([{ outcome: 'absent', provider: 'local' }]);
    await expectUnharmed();
  });

  it('that comes to be only after the first look is found by the second', async () => {
    const { userId, accountThere, expectUnharmed } = await leftBehind({ happened: true });
    const asleep = faultyTo(two.pds, ({ nsid }) =>
      nsid.endsWith('getRepoStatus')
        ? Promise.resolve(Response.json({ error: 'RepoNotFound' }, { status: 400 }))
        : undefined,
    );
    expect(await reconcile({ fetch: asleep.fetch })).toEqual({ postponed: 1 });
    expect(await reconcile()).toEqual({ deleted: 1 });
    expect(await accountThere()).toBeUndefined();
    expect(await stateOf(userId)).toBe('deleted');
    await expectUnharmed();
  });

  it('without admin rights stays deactivated, is deleted as soon as we have them, and operators know', async () => {
    const { userId, did, accountThere, expectUnharmed } = await leftBehind({ at: 'remote', happened: true });
    expect(await reconcile()).toEqual({ deactivated: 1 });
    expect(await getRepoStatus(pdsAdmin(two.remote), did)).toMatchObject({
      active: false,
      status: 'deactivated',
    });
    expect(await notices()).toEqual([{ kind: 'orphan_left', subject: remoteId(two) }]);
    expect(await reconcile()).toEqual({});
    await useProviders(bench, await two.providers({ remote: { adminPassword: two.remote.adminPassword } }));
    skipped += 24 * 3600_000;
    expect(await reconcile()).toEqual({ deleted: 1 });
    expect(await accountThere()).toBeUndefined();
    expect(await logOf(userId)).toEqual([
      { outcome: 'deactivated', provider: remoteId(two) },
      { outcome: 'deleted', provider: remoteId(two) },
    ]);
    await expectUnharmed();
  });

  it('that its PDS calls active is deactivated, and deleted 30 days later: it may have been written to', async () => {
    const { userId, did } = await leftBehind({ at: 'remote', happened: true });
    await useProviders(bench, await two.providers({ remote: { adminPassword: two.remote.adminPassword } }));
    // The real one activates no account whose DID document names another PDS; not every PDS is that careful.
    const careless = faultyTo(two.remote, ({ nsid }) =>
      nsid.endsWith('checkAccountStatus')
        ? Promise.resolve(Response.json({ activated: true, validDid: false }))
        : undefined,
    );
    expect(await reconcile({ fetch: careless.fetch })).toEqual({ postponed: 1 });
    expect(careless.asked.at(-1)).toBe('com.atproto.server.deactivateAccount');
    expect(await getRepoStatus(pdsAdmin(two.remote), did)).toMatchObject({ active: false });
    expect(await stateOf(userId)).toBe('possible');
    skipped += 29 * 24 * 3600_000;
    expect(await reconcile()).toEqual({});
    await useProviders(bench, await two.providers({ remote: { adminPassword: 'not the right one' } }));
    skipped += 24 * 3600_000;
    expect(await reconcile()).toEqual({ deactivated: 1 });
    expect(await stateOf(userId)).toBe('deactivated');
  });

  it('that our password does not open is never touched, and operators are told', async () => {
    const { userId, did, accountThere, expectUnharmed } = await leftBehind({ happened: true });
    const { pnptv_uuid } = await identityOf(bench, userId);
    await updateAccountPassword(pdsAdmin(two.pds), { did, password: 'somebody else’s' });
    expect(await reconcile()).toEqual({ foreign: 1 });
    expect(await accountThere()).toBeDefined();
    expect(await stateOf(userId)).toBe('foreign');
    expect(await notices()).toEqual([{ kind: 'orphan_foreign', subject: `${pnptv_uuid} at local` }]);
    expect(await reconcile()).toEqual({});
    await expectUnharmed();
  });

  it('is nothing of the kind when the member lives on it', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const identity = await expectWorkingIdentity(two, bench, userId);
    const password = await opened(bench, identity, 'account_password_sealed');
    const wrongDocument = faultyTo(two.pds, ({ nsid }) =>
      nsid.endsWith('checkAccountStatus')
        ? Promise.resolve(Response.json({ activated: true, validDid: false }))
        : undefined,
    );
    // A row that says what is not so. Once only our own table knows better, once only his DID document.
    for (const { lives, fetch } of [
      { lives: 'local', fetch: wrongDocument.fetch },
      { lives: remoteId(two), fetch: globalThis.fetch },
    ]) {
      await bench.sql`
        INSERT INTO pds_possible_orphans ${bench.sql({
          id: 1,
          user_id: userId,
          pnptv_uuid: identity.pnptv_uuid,
          provider_id: 'local',
          pds_did: identity.pds_did,
          account_password_sealed: await sealOrphanPassword(
            bench.deps.vault,
            String(identity.data_key_id),
            { id: 1, user_id: userId },
            password,
          ),
          data_key_id: identity.data_key_id,
          create_started_at: new Date(Date.now() - quarantine()),
        })} ON CONFLICT (id) DO UPDATE SET state = 'possible', look_at = NULL`;
      await bench.sql`UPDATE user_pds_mapping SET provider_id = ${lives} WHERE user_id = ${userId}`;
      expect(await reconcile({ fetch })).toEqual({ in_use: 1 });
      await expectWorkingIdentity(two, bench, userId);
    }
  });

  it('is left to a member who has no account anywhere yet', async () => {
    const { queueId, userId } = await memberOf(bench, 'local');
    const dead: typeof fetch = (input, init) => {
      if (!String(input).endsWith('createAccount')) return fetch(input, init);
      return String(input).startsWith(two.pds.url) ? fetch(input, init).then(cut) : cut();
    };
    expect(await performWork({ ...bench.deps, fetch: dead }, queueId)).toMatch(/again|parked/);
    expect(await reconcile()).toEqual({});
    expect(await performWork(bench.deps, queueId)).toBe('done');
    expect((await identityOf(bench, userId)).status).toBe('active');
  });

  it('is not moved into while it is being done away with, whoever saw it free before', async () => {
    const { userId } = await leftBehind({ happened: true });
    await bench.sql`UPDATE user_pds_mapping SET status = 'pending', provisioning_step = 'reserved' WHERE user_id = ${userId}`;
    await bench.sql`UPDATE pds_possible_orphans SET state = 'closing' WHERE user_id = ${userId}`;
    const before = await identityOf(bench, userId);
    const run = { ...bench.deps, identity: { ...before } } as unknown as Run;
    expect(await changeProvider(run, 'local')).toBe(false);
    expect(await identityOf(bench, userId)).toEqual(before);
    expect(run.identity).toEqual(before);
  });

  it('is settled also when the reconciler was killed between the deletion and its note', async () => {
    const { userId, accountThere, expectUnharmed } = await leftBehind({ happened: true });
    const network = faultyTo(two.pds, ({ nsid, send }) =>
      nsid.endsWith('deleteAccount') ? send().then(() => cut()) : undefined,
    );
    expect(await reconcile({ fetch: network.fetch })).toEqual({ postponed: 1 });
    expect(await accountThere()).toBeUndefined();
    expect(await stateOf(userId)).toBe('closing');
    expect(await reconcile()).toEqual({ deleted: 1 });
    expect(await logOf(userId)).toEqual([{ outcome: 'deleted', provider: 'local' }]);
    await expectUnharmed();
  });

  it('waits for a provider that does not answer', async () => {
    const { userId, accountThere } = await leftBehind({ happened: true });
    const network = faultyTo(two.pds, cut);
    expect(await reconcile({ fetch: network.fetch })).toEqual({ postponed: 1 });
    expect(await stateOf(userId)).toBe('possible');
    await bench.sql`UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 day' WHERE id = 'local'`;
    network.asked.length = 0;
    expect(await reconcile({ fetch: network.fetch })).toEqual({ postponed: 1 });
    expect(network.asked).toEqual([]);
    await bench.sql`UPDATE pds_providers SET breaker_state = 'closed' WHERE id = 'local'`;
    expect(await reconcile()).toEqual({ deleted: 1 });
    expect(await accountThere()).toBeUndefined();
  });

  it('is looked for twice again after its provider was asleep: the creation may have slept, too', async () => {
    await leftBehind({ happened: false });
    expect(await reconcile()).toEqual({ postponed: 1 });
    await bench.sql`UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 day' WHERE id = 'local'`;
    expect(await reconcile()).toEqual({ postponed: 1 });
    await bench.sql`UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL WHERE id = 'local'`;
    expect(await reconcile()).toEqual({ postponed: 1 });
    expect(await reconcile()).toEqual({ absent: 1 });
  });
});

function cut(): Promise<never> {
  return Promise.reject(new Error('cut'));
}
