import { rmSync } from 'node:fs';
import path from 'node:path';
import { AtpAgent } from '@atproto/api';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { createInviteCode } from '../../../../lib/pds/client/admin.ts';
import { reconcileOrphans } from '../../../../lib/provisioning/orphans/reconcile.ts';
import type { Fault } from '../../provisioning/faulty.ts';
import { identityOf } from '../../provisioning/stage.ts';
import { faultyTo } from '../../provisioning/two-pds.ts';
import {
  NOTES,
  openShipyard,
  openVoyage,
  type Shipyard,
  type Voyage,
  writeNotes,
  writePicture,
} from './voyage.ts';

const HOUR = 3600_000;
const unreachable: Fault = () =>
  Promise.reject(Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' }));
const answer = (status: number, body: object) =>
  Promise.resolve(
    new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } }),
  );

describe('a move that cannot be made', () => {
  let yard: Shipyard;
  let voyage: Voyage;
  let userId: string;
  let did: string;
  let client: AtpAgent;
  beforeAll(async () => {
    yard = await openShipyard();
  });
  afterAll(() => yard.close());
  beforeEach(async () => {
    // With a clock of its own: a PDS's tokens live two hours.
    voyage = await openVoyage(yard);
    userId = await voyage.member();
    did = (await identityOf(voyage.bench, userId)).pds_did ?? '';
    client = await voyage.clientOf(userId);
    await writePicture(client);
  });
  afterEach(() => voyage.close());

  /** As if the member had never asked: his account takes writes, and all that was promised still holds. */
  async function expectAsBefore() {
    await writeNotes(client, 1, 'and on it goes');
    await voyage.proveAt(userId, yard.two.pds);
    expect(await identityOf(voyage.bench, userId)).toMatchObject({
      provider_id: 'local',
      create_started_at: null,
    });
  }
  async function reconcile() {
    voyage.skip(HOUR / 4);
    const { deps } = voyage.bench;
    const results = await reconcileOrphans(deps, new Date(deps.now().getTime() + HOUR));
    return Object.fromEntries(Object.entries(results).filter(([, count]) => count > 0));
  }
  const moveWith = async (fault: Fault, pds = yard.two.remote) => {
    voyage.bench.deps.fetch = faultyTo(pds, fault).fetch;
    const { changeId, queueId } = await voyage.request(userId);
    await voyage.workOn(
      queueId,
      ({ parked_reason }) => parked_reason === 'provider_down' && voyage.skip(HOUR / 2),
    );
    voyage.bench.deps.fetch = fetch;
    return voyage.changeOf(changeId);
  };

  it.each([
    ['before anything', 'com.atproto.server.describeServer'],
    ['when its account is to be made', 'com.atproto.server.createAccount'],
    ['when the repository comes', 'com.atproto.repo.importRepo'],
    ['when a blob comes', 'com.atproto.repo.uploadBlob'],
    ['when the old account is deactivated', 'app.bsky.actor.putPreferences'],
    ['when it is to be published', 'com.atproto.identity.getRecommendedDidCredentials'],
  ])('because the new PDS vanishes %s: everything is as before', async (_when, nsid) => {
    await client.app.bsky.actor.putPreferences({
      preferences: [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }],
    });
    let gone = false;
    const change = await moveWith((call) => {
      gone ||= call.nsid === nsid;
      return gone ? unreachable(call) : undefined;
    });
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_TARGET_SILENT' });
    await expectAsBefore();
    const made = nsid !== 'com.atproto.server.describeServer' && nsid !== 'com.atproto.server.createAccount';
    expect(await voyage.orphansOf(userId)).toEqual(
      made ? [expect.objectContaining({ state: 'possible', moved_at: null })] : [],
    );
    // We may not delete there: it stays as it was born.
    expect(await reconcile()).toEqual(made ? { deactivated: 1 } : {});
  });

  it.each([
    ['507 for the repository', 'com.atproto.repo.importRepo', 507],
    ['500 for a blob', 'com.atproto.repo.uploadBlob', 500],
  ])('because the new PDS has run out of space (%s)', async (_what, nsid, status) => {
    const change = await moveWith((call) =>
      call.nsid === nsid
        ? answer(status, { error: 'InsufficientStorage', message: 'no space left' })
        : undefined,
    );
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_TARGET_FAILED' });
    expect(change?.error_message).toContain('run out of space');
    await expectAsBefore();
    expect(await reconcile()).toEqual({ deactivated: 1 });
  });

  it('because the new PDS names another DID than its own, by which a token for others could be had', async () => {
    const change = await moveWith((call) =>
      call.nsid === 'com.atproto.server.describeServer'
        ? answer(200, { did: 'did:web:somebody.else', availableUserDomains: [] })
        : undefined,
    );
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_TARGET_LIES' });
    await expectAsBefore();
  });

  it('because the new PDS shows a public address at which another one answers', async () => {
    const change = await moveWith((call) =>
      call.nsid === 'com.atproto.identity.getRecommendedDidCredentials'
        ? call.send().then(async (response) => {
            const truth = (await response.json()) as { services: { atproto_pds: object } };
            truth.services.atproto_pds = { ...truth.services.atproto_pds, endpoint: yard.two.pds.url };
            return answer(200, truth);
          })
        : undefined,
    );
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'PDS_ADDRESS_WRONG' });
    await expectAsBefore();
  });

  it('because somebody else has an account of this DID there, which is not touched', async () => {
    const { pds_handle } = await identityOf(voyage.bench, userId);
    const { data: token } = await client.com.atproto.server.getServiceAuth({
      aud: yard.two.remote.did,
      lxm: 'com.atproto.server.createAccount',
    });
    const theirs = new AtpAgent({ service: yard.two.remote.url });
    await theirs.com.atproto.server.createAccount(
      {
        did: did as `did:web:${string}`,
        handle: (pds_handle ?? '') as `${string}.${string}`,
        email: 'somebody@example.com',
        password: 'theirs',
        inviteCode: await createInviteCode(pdsAdmin(yard.two.remote), { uses: 1 }),
      },
      { encoding: 'application/json', headers: { authorization: `Bearer ${token.token}` } },
    );
    const change = await moveWith(() => undefined);
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_ACCOUNT_FOREIGN' });
    await expectAsBefore();
    await theirs.login({ identifier: did, password: 'theirs' });
  });

  it('because the old PDS is gone', async () => {
    const change = await moveWith(unreachable, yard.two.pds);
    expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_SOURCE_SILENT' });
    await expectAsBefore();
  });

  it('because the old PDS dies while the account is deactivated: he is free after a day, and nothing is deleted', async () => {
    let gone = false;
    voyage.bench.deps.fetch = faultyTo(yard.two.pds, (call) => {
      if (gone) return unreachable(call);
      gone = call.nsid === 'com.atproto.server.deactivateAccount';
      return undefined;
    }).fetch;
    const { changeId, queueId } = await voyage.request(userId);
    await voyage.workOn(queueId, ({ claims }) => (gone || claims > 0) && voyage.skip(2 * HOUR));
    expect(await voyage.changeOf(changeId)).toMatchObject({
      outcome: 'failed',
      error_code: 'MOVE_NOT_TAKEN_BACK',
    });
    expect(await voyage.orphansOf(userId)).toMatchObject([{ state: 'possible' }]);
    expect(await reconcile()).toEqual({});
    expect(await voyage.statusAt(yard.two.remote, did)).toBe('deactivated');
  });

  it('because it is wanted no more, at whatever step', async () => {
    for (const nsid of [
      'createAccount',
      'importRepo',
      'uploadBlob',
      'deactivateAccount',
      'getRecommendedDidCredentials',
    ]) {
      const { changeId, queueId } = await voyage.request(userId);
      const spy: typeof fetch = async (input, init) => {
        if (String(input).endsWith(`.${nsid}`))
          expect(await voyage.cancel(userId, changeId)).toEqual({ cancelled: false });
        return fetch(input, init);
      };
      await voyage.perform(queueId, { fetch: spy });
      await voyage.workOn(queueId);
      expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'cancelled' });
      await expectAsBefore();
    }
  });

  it('goes on without a blob that the old PDS has lost, and says so', async () => {
    const lost = await writePicture(client);
    rmSync(path.join(yard.two.pdsDir, 'blobs', did, lost.cid));
    expect(await voyage.move(userId)).toMatchObject({
      outcome: 'done',
      progress: { blobs_lost: [lost.cid] },
    });
    const { repo } = await voyage.proveAt(userId, yard.two.remote);
    expect(repo.creates.filter(({ collection }) => collection === NOTES)).toHaveLength(2);
    const [entry] = await voyage.bench.sql`
      SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'moved' ORDER BY seq DESC LIMIT 1`;
    expect(entry?.details).toMatchObject({ blobs_lost: [lost.cid] });
  });
});
