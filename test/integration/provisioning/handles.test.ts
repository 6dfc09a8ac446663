import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { faultyNetwork } from './faulty.ts';
import { type Bench, DOMAIN, identityOf, openBench, openStage, type Stage } from './stage.ts';
import { expectWorkingIdentity } from './working-identity.ts';

/** A name that no test before has used: the PDS outlives the databases. */
const freshName = () => `t${randomBytes(4).toString('hex')}`;

describe('handles that a PDS does not give', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    bench = await openBench(stage);
  });
  afterEach(() => bench.close());

  /** An account with this handle that our database knows nothing of; its worker's database is gone. */
  async function foreignAccount(username: string, { deactivated = false } = {}) {
    const foreign = await openBench(stage);
    const { userId, queueId } = await foreign.member({ username });
    await performWork(foreign.deps, queueId);
    const { pds_did, pds_handle } = await identityOf(foreign, userId);
    expect(pds_handle).toBe(`${username}.${DOMAIN}`);
    if (deactivated) {
      await fetch(`${stage.pds.url}/xrpc/com.atproto.admin.updateSubjectStatus`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Basic ${Buffer.from(`admin:${stage.pds.adminPassword}`).toString('base64')}`,
        },
        body: JSON.stringify({
          subject: { $type: 'com.atproto.admin.defs#repoRef', did: pds_did },
          deactivated: { applied: true },
        }),
      });
    }
    await foreign.close();
    stage.gateway.serve(bench.sql);
  }

  it('taken by an active account: the next one, with the same DID and secrets, in the same run', async () => {
    const name = freshName();
    await foreignAccount(name);
    const { userId, queueId } = await bench.member({ username: name });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const identity = await expectWorkingIdentity(stage, bench, userId);
    expect(identity.pds_handle).toBe(`${name}-2.${DOMAIN}`);
    expect(identity.pds_did).toMatch(new RegExp(`^did:web:${name}-[a-z2-7]{6}\\.`));
  });

  it('held by a deactivated account, which the PDS hides behind a 500: the next one at the last attempt', async () => {
    const name = freshName();
    await foreignAccount(name, { deactivated: true });
    const { userId, queueId } = await bench.member({ username: name });
    const later = { ...bench.deps, now: () => new Date(Date.now() + 60_000) };
    expect(await performWork(bench.deps, queueId)).toBe('again');
    expect(await performWork(later, queueId)).toBe('again');
    expect(await performWork({ ...later, now: () => new Date(Date.now() + 120_000) }, queueId)).toBe('done');
    const identity = await expectWorkingIdentity(stage, bench, userId);
    expect(identity.pds_handle).toBe(`${name}-2.${DOMAIN}`);
  });

  it('is the member’s own again when the PDS answers 500 to any other, too, and no name is lost to that', async () => {
    const name = freshName();
    const { userId, queueId } = await bench.member({ username: name });
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('createAccount')
        ? Promise.resolve(Response.json({ error: 'InternalServerError' }, { status: 500 }))
        : undefined,
    );
    let minutes = 0;
    const now = () => new Date(Date.now() + minutes * 60_000);
    for (let round = 0; round < 2; round += 1) {
      for (const expected of ['again', 'again', 'failed']) {
        expect(await performWork({ ...bench.deps, now, fetch: network.fetch }, queueId)).toBe(expected);
        minutes += 5;
      }
      expect((await identityOf(bench, userId)).pds_handle).toBe(`${name}.${DOMAIN}`);
      await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry', now: now() }));
    }
    const names =
      await bench.sql`SELECT hostname FROM hostnames WHERE user_id = ${userId} AND kind <> 'did' ORDER BY 1`;
    expect(names.map(({ hostname }) => hostname)).toEqual([`${name}-2.${DOMAIN}`, `${name}.${DOMAIN}`]);
    expect(await performWork({ ...bench.deps, now }, queueId)).toBe('done');
    const { pds_handle } = await expectWorkingIdentity(stage, bench, userId);
    expect(pds_handle).toBe(`${name}.${DOMAIN}`);
  });

  it('stays the member’s own when the last attempt fails before any other was tried', async () => {
    const name = freshName();
    const { userId, queueId } = await bench.member({ username: name });
    const answers = [500, 401, 500].map((status) => () => {
      const error = status === 500 ? 'InternalServerError' : 'AuthMissing';
      return Promise.resolve(Response.json({ error }, { status }));
    });
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('createAccount') ? answers.shift()?.() : undefined,
    );
    let minutes = 0;
    const now = () => new Date(Date.now() + minutes * 60_000);
    for (const expected of ['again', 'again', 'failed']) {
      expect(await performWork({ ...bench.deps, now, fetch: network.fetch }, queueId)).toBe(expected);
      minutes += 5;
    }
    expect((await identityOf(bench, userId)).pds_handle).toBe(`${name}.${DOMAIN}`);
  });

  it.each([
    ['too short', 'ab'],
    ['too long', 'a_name_that_is_much_longer_than_a_handle_may_be'],
    ['reserved', 'admin'],
    ['full of underscores', '__a__b__c__'],
    ['absent', null],
    ['only digits', '12345'],
  ])('%s: a valid other one', async (_, username) => {
    const { userId, queueId } = await bench.member({ username });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { pds_handle } = await expectWorkingIdentity(stage, bench, userId);
    expect(pds_handle).toMatch(/^[a-z0-9]([a-z0-9-]{1,16})[a-z0-9]\.pnptv\.test$/);
  });

  it('wanted by twenty members at once: twenty different ones', { timeout: 60_000 }, async () => {
    const name = freshName();
    const members = await Promise.all(Array.from({ length: 20 }, () => bench.member({ username: name })));
    // Twenty at once on a busy machine take a PDS longer than the times of tests allow.
    const deps = { ...bench.deps, times: TIMES.production };
    const results = await Promise.all(members.map(({ queueId }) => performWork(deps, queueId)));
    expect(new Set(results)).toEqual(new Set(['done']));
    const handles = await Promise.all(members.map(({ userId }) => identityOf(bench, userId)));
    expect(new Set(handles.map(({ pds_handle }) => pds_handle)).size).toBe(20);
  });
});

describe('a PDS that takes new accounts by invitation', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage({ inviteRequired: true });
    bench = await openBench(stage);
  });
  afterAll(async () => {
    await bench.close();
    await stage.close();
  });

  it('gets an invite code made by its own admin', async () => {
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectWorkingIdentity(stage, bench, userId);
  });

  it('fails the work at once, with a reason, when we have neither code nor admin password', async () => {
    const { userId, queueId } = await bench.member();
    const providers = bench.deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    expect(await performWork({ ...bench.deps, providers }, queueId)).toBe('failed');
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'error', error_code: 'NO_INVITE' });
  });
});
