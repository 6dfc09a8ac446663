import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../infra/local/atproto/pds.ts';
import { CREATIONS } from '../../../lib/pds/budget.ts';
import { getAccountInfo } from '../../../lib/pds/client/admin.ts';
import { XrpcError } from '../../../lib/pds/xrpc-error.ts';
import { mayFailOver } from '../../../lib/provisioning/providers/fail-over.ts';
import { OutcomeUnknown } from '../../../lib/provisioning/queue/outcome.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { relay } from '../../../lib/provisioning/queue/relay.ts';
import type { Run } from '../../../lib/provisioning/run.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { silence } from './faulty.ts';
import { type Bench, identityOf, rowOf } from './stage.ts';
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

describe('hybrid mode', () => {
  let two: TwoPds;
  let bench: Bench;
  beforeAll(async () => {
    two = await openTwoPds();
  });
  afterAll(() => two.close());
  beforeEach(async () => {
    bench = await openHybrid(two);
  });
  afterEach(() => bench.close());

  const faulty = (pds: 'pds' | 'remote', fault: Parameters<typeof faultyTo>[1]) => {
    const network = faultyTo(two[pds], fault);
    Object.assign(bench.deps, { fetch: network.fetch });
    return network;
  };
  const expectLives = async (userId: string, pds: 'pds' | 'remote') => {
    const other = pds === 'pds' ? 'remote' : 'pds';
    const identity = await expectWorkingIdentity({ ...two, pds: two[pds] }, bench, userId);
    expect(identity.pds_endpoint).toBe(two[pds].url);
    expect(identity.provider_id).toBe(pds === 'pds' ? 'local' : remoteId(two));
    return { identity, other: pdsAdmin(two[other]) };
  };
  const orphans = () => bench.sql`SELECT user_id, provider_id, state FROM pds_possible_orphans ORDER BY id`;

  it('makes each account at the provider that the hash says, and nothing of it at the other', async () => {
    for (const [pds, id] of [
      ['pds', 'local'],
      ['remote', remoteId(two)],
    ] as const) {
      const { userId, queueId } = await memberOf(bench, id);
      expect(await performWork(bench.deps, queueId)).toBe('done');
      const { identity, other } = await expectLives(userId, pds);
      expect(await getAccountInfo(other, identity.pds_did ?? fail())).toBeUndefined();
    }
    expect(await orphans()).toEqual([]);
  });

  it('lets the next provider take over in the same run when the first is down, and costs nobody an attempt', async () => {
    faulty('pds', () => Promise.reject(refused()));
    const { userId, queueId } = await memberOf(bench, 'local');
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLives(userId, 'remote');
    expect(await rowOf(bench, queueId)).toMatchObject({ attempt_count: 0 });
    // Nothing ever left for it: there is nothing to look for.
    expect(await orphans()).toEqual([]);
    const [{ failures }] = await bench.sql<[{ failures: number }]>`
      SELECT consecutive_failures AS failures FROM pds_providers WHERE id = 'local'`;
    expect(failures).toBe(1);
  });

  it.each([
    ['answers 500', () => Promise.resolve(Response.json({ error: 'InternalServerError' }, { status: 500 }))],
    ['is too busy', () => Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 }))],
    ['answers HTML', () => Promise.resolve(new Response('<h1>Welcome</h1>'))],
    [
      'refuses invites',
      () => Promise.resolve(Response.json({ error: 'InvalidInviteCode' }, { status: 400 })),
    ],
  ])('does so when the first %s', async (_, answer) => {
    faulty('remote', ({ nsid }) => (nsid.endsWith('createAccount') ? answer() : undefined));
    const { userId, queueId } = await memberOf(bench, remoteId(two));
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLives(userId, 'pds');
  });

  it('asks a provider whose circuit is open nothing, and waits for it only with those who live there', async () => {
    const resident = await memberOf(bench, 'local');
    const neighbour = await memberOf(bench, remoteId(two));
    for (const { queueId } of [resident, neighbour])
      expect(await performWork(bench.deps, queueId)).toBe('done');
    await bench.sql`
      UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '20 seconds', consecutive_failures = 5
      WHERE id = 'local'`;
    const network = faulty('pds', () => Promise.reject(refused()));
    const newcomer = await memberOf(bench, 'local');
    expect(await performWork(bench.deps, newcomer.queueId)).toBe('done');
    await expectLives(newcomer.userId, 'remote');
    expect(await performWork(bench.deps, await checkOf(neighbour.userId))).toBe('done');
    const waiting = await checkOf(resident.userId);
    expect(await performWork(bench.deps, waiting)).toBe('parked');
    expect(await rowOf(bench, waiting)).toMatchObject({ attempt_count: 0, parked_reason: 'provider_down' });
    expect(network.asked).toEqual([]);
  });

  it('lets one newcomer be the probe of an open circuit, and takes him elsewhere when it fails', async () => {
    await bench.sql`
      UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() - interval '1 second', consecutive_failures = 5
      WHERE id = 'local'`;
    const network = faulty('pds', () => Promise.reject(refused()));
    const members = [await memberOf(bench, 'local'), await memberOf(bench, 'local')];
    expect(await Promise.all(members.map(({ queueId }) => performWork(bench.deps, queueId)))).toEqual([
      'done',
      'done',
    ]);
    expect(network.asked).toHaveLength(1);
    for (const { userId } of members) await expectLives(userId, 'remote');
  });

  it('keeps DID, names and keys when another provider takes over, and seals a password of its own for each', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    let before: Awaited<ReturnType<typeof identityOf>> | undefined;
    let password = '';
    faulty('pds', ({ nsid }) => {
      if (!nsid.endsWith('createAccount')) return undefined;
      return identityOf(bench, userId).then(async (identity) => {
        before = identity;
        password = await opened(bench, identity, 'account_password_sealed');
        return silence();
      });
    });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { identity } = await expectLives(userId, 'remote');
    for (const column of [
      'pds_did',
      'pds_handle',
      'pds_public_key',
      'pds_private_key_encrypted',
      'account_email',
    ] as const)
      expect(identity[column]).toBe(before?.[column]);
    expect(await opened(bench, identity, 'account_password_sealed')).not.toBe(password);
    expect(await orphans()).toEqual([{ user_id: userId, provider_id: 'local', state: 'possible' }]);
  });

  it('ends at the provider that may still come back, with its password, when the other refuses for good', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    await useProviders(bench, await two.providers({ remote: { inviteCode: 'used-up' } }));
    const network = faulty('pds', ({ nsid, send }) => {
      if (!nsid.endsWith('createAccount')) return undefined;
      return send().then(silence);
    });
    expect(await performWork(bench.deps, queueId)).toBe('again');
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'pending', provider_id: 'local' });
    expect(await orphans()).toEqual([{ user_id: userId, provider_id: 'local', state: 'in_use' }]);
    network.heal();
    const later = { ...bench.deps, now: () => new Date(Date.now() + 5_000) };
    expect(await performWork(later, queueId)).toBe('done');
    await expectLives(userId, 'pds');
    expect(network.asked.filter((nsid) => nsid.endsWith('createAccount'))).toHaveLength(1);
  });

  it('waits where it is when both are down, and goes on at the first that is back', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    const network = faultyTo(two.pds, () => Promise.reject(refused()));
    const both: typeof fetch = (input, init) =>
      String(input).startsWith(two.remote.url) ? Promise.reject(refused()) : network.fetch(input, init);
    expect(await performWork({ ...bench.deps, fetch: both }, queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({ attempt_count: 0, parked_reason: 'provider_down' });
    const later = { ...bench.deps, fetch: network.fetch, now: () => new Date(Date.now() + 10_000) };
    expect(await performWork(later, queueId)).toBe('done');
    await expectLives(userId, 'remote');
  });

  it('sends those who waited for one that is down on their way when the other is back', async () => {
    await bench.sql`
      UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 hour', consecutive_failures = 5`;
    const members = [await memberOf(bench, remoteId(two)), await memberOf(bench, remoteId(two))];
    for (const { queueId } of members) expect(await performWork(bench.deps, queueId)).toBe('parked');
    await bench.sql`UPDATE pds_providers SET breaker_until = now() - interval '1 second' WHERE id = 'local'`;
    const probe = await memberOf(bench, 'local');
    expect(await performWork(bench.deps, probe.queueId)).toBe('done');
    for (const { userId, queueId } of members) {
      const { next_retry, sent_at } = await rowOf(bench, queueId);
      expect(next_retry.getTime()).toBeLessThanOrEqual(Date.now());
      expect(sent_at).not.toBeNull();
      expect(await performWork(bench.deps, queueId)).toBe('done');
      await expectLives(userId, 'pds');
    }
  });

  it('sends those who were in the line of a busy one that is down by now on their way to the other', async () => {
    await bench.sql`
      UPDATE pds_providers SET creations = ARRAY(SELECT now() FROM generate_series(1, ${CREATIONS}::int))`;
    const { userId, queueId } = await memberOf(bench, 'local');
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'provider_busy' });
    expect(await identityOf(bench, userId)).toMatchObject({ provider_id: remoteId(two) });
    await bench.sql`UPDATE pds_providers SET creations = '{}'`;
    await bench.sql`
      UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 hour', consecutive_failures = 5
      WHERE id = ${remoteId(two)}`;
    await relay(bench.deps);
    expect(await rowOf(bench, queueId)).toMatchObject({ sent_at: expect.any(Date) });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLives(userId, 'pds');
  });

  it('sends those who wait for one that wants to be left alone for long on their way to the other', async () => {
    await bench.sql`
      UPDATE pds_providers SET creations = ARRAY(SELECT now() FROM generate_series(1, ${CREATIONS}::int)) WHERE id = 'local'`;
    const { userId, queueId } = await memberOf(bench, 'local');
    faulty('remote', ({ nsid }) =>
      nsid.endsWith('createAccount')
        ? Promise.resolve(new Response(null, { status: 429, headers: { 'retry-after': '36000' } }))
        : undefined,
    );
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await identityOf(bench, userId)).toMatchObject({ provider_id: remoteId(two) });
    await bench.sql`UPDATE pds_providers SET creations = '{}'`;
    await relay(bench.deps);
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectLives(userId, 'pds');
  });

  it('sends no second createAccount beside the first to whom a member comes back, however long he was away', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    let finish: () => Promise<unknown> = fail;
    const network = faultyTo(two.pds, ({ nsid, send }) => {
      if (!nsid.endsWith('createAccount')) return undefined;
      finish = send;
      return silence();
    });
    const withoutRemote: typeof fetch = (input, init) =>
      String(input).startsWith(two.remote.url) ? Promise.reject(refused()) : network.fetch(input, init);
    const later = (ms: number) => ({
      ...bench.deps,
      fetch: withoutRemote,
      now: () => new Date(Date.now() + ms),
    });
    expect(await performWork(later(0), queueId)).toBe('parked');
    expect(await identityOf(bench, userId)).toMatchObject({ provider_id: remoteId(two) });
    // The first one has slept with its PDS, which wakes up at this moment.
    network.heal();
    expect(await performWork(later(3600_000), queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'outcome_unknown', attempt_count: 0 });
    await finish();
    expect(await performWork(later(3600_000 + 5_000), queueId)).toBe('done');
    expect(network.asked.filter((nsid) => nsid.endsWith('createAccount'))).toHaveLength(1);
    await expectLives(userId, 'pds');
  });

  it('ends in a reason when neither ever answers a createAccount, and in an identity after a retry', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    let asked = 0;
    const cut: typeof fetch = (input, init) => {
      if (!String(input).endsWith('createAccount')) return fetch(input, init);
      asked += 1;
      return Promise.reject(new Error('cut'));
    };
    let at = Date.now();
    const goOn = async (fetch: typeof globalThis.fetch) => {
      const result = await performWork({ ...bench.deps, fetch, now: () => new Date(at) }, queueId);
      const row = await rowOf(bench, queueId);
      at = Math.max(at, row.next_retry.getTime());
      return { result, row };
    };
    let { row } = await goOn(cut);
    for (let runs = 1; row.status !== 'failed' && runs < 50; runs += 1) row = (await goOn(cut)).row;
    expect(row).toMatchObject({ status: 'failed', error_details: { code: 'ACCOUNT_CREATION_UNANSWERED' } });
    expect(asked).toBeLessThanOrEqual(6);
    await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry', now: new Date(at) }));
    for (let runs = 0; row.status !== 'completed' && runs < 20; runs += 1) row = (await goOn(fetch)).row;
    expect(row).toMatchObject({ status: 'completed' });
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'active' });
  });

  it('never lets another take over a did:plc of which nobody knows whether it was made', () => {
    const unknown = new OutcomeUnknown(new XrpcError({ nsid: 'x', fault: 'timeout' }), new Date());
    const down = new XrpcError({ nsid: 'x', fault: 'unreachable' });
    const run = (did_method: 'web' | 'plc', create_started_at: Date | null, step = 'reserved') =>
      ({ identity: { did_method, create_started_at, provisioning_step: step } }) as unknown as Run;
    expect(mayFailOver(run('plc', new Date()), unknown)).toBe(false);
    expect(mayFailOver(run('plc', new Date()), down)).toBe(false);
    expect(mayFailOver(run('plc', null), down)).toBe(true);
    expect(mayFailOver(run('web', new Date()), unknown)).toBe(true);
    expect(mayFailOver(run('web', null, 'account_created'), down)).toBe(false);
  });

  async function checkOf(userId: string): Promise<string> {
    const [{ id }] = await bench.sql<[{ id: string }]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'verify'`;
    return id;
  }
});

function refused(): Error {
  return Object.assign(new TypeError('fetch failed'), {
    cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
  });
}
function fail(): never {
  throw new Error('no DID');
}
