import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../lib/brands.ts';
import { readPlcLog } from '../../../lib/pds/plc/read-log.ts';
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

const CREATE = 'com.atproto.server.createAccount';

describe('a did:plc in hybrid mode', () => {
  let directory: Plc;
  let two: TwoPds;
  let bench: Bench;
  beforeAll(async () => {
    directory = await startPlc();
    two = await openTwoPds({ plcUrl: directory.url });
  });
  afterAll(async () => {
    await two.close();
    await directory.stop();
  });
  beforeEach(async () => {
    bench = await openHybrid(two);
    bench.deps.naming = { ...bench.deps.naming, didMethod: 'plc' };
  });
  afterEach(() => bench.close());

  async function expectIdentityAt(userId: string, endpoint: string, handleDomain: string) {
    const identity = await identityOf(bench, userId);
    expect(identity).toMatchObject({
      status: 'active',
      did_method: 'plc',
      pds_endpoint: endpoint,
      service_handle: expect.stringMatching(new RegExp(`\\.${handleDomain}$`)),
    });
    const { data } = await readPlcLog({ fetch, plcUrl: directory.url }, identity.pds_did as Did);
    expect(data).toMatchObject({
      rotationKeys: [`did:key:${identity.rotation_public_key}`, expect.any(String)],
      services: { atproto_pds: { endpoint } },
      alsoKnownAs: [`at://${identity.pds_handle}`],
    });
  }

  it('is made by the other PDS, with an invite, when the first cannot be reached', async () => {
    const { userId, queueId } = await memberOf(bench, 'local');
    bench.deps.fetch = faultyTo(two.pds, () =>
      Promise.reject(Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' })),
    ).fetch;
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectIdentityAt(userId, two.remote.url, 'elsewhere.test');
  });

  it('is waited for at the PDS that may have made it, and adopted there', async () => {
    const { userId, queueId } = await memberOf(bench, remoteId(two));
    const network = faultyTo(two.remote, ({ nsid, send }) => {
      if (nsid !== CREATE) return undefined;
      network.heal();
      return send().then(silence);
    });
    bench.deps.fetch = network.fetch;
    expect(await performWork(bench.deps, queueId)).toBe('again');
    expect(await identityOf(bench, userId)).toMatchObject({ provider_id: remoteId(two), pds_did: null });
    const { next_retry } = await rowOf(bench, queueId);
    expect(await performWork({ ...bench.deps, now: () => next_retry }, queueId)).toBe('done');
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
    await expectIdentityAt(userId, two.remote.url, 'elsewhere.test');
  });

  it('is made elsewhere when its PDS, which the settings name no more, has made none for sure', async () => {
    const { userId, queueId } = await memberOf(bench, remoteId(two));
    const network = faultyTo(two.remote, ({ nsid }) => (nsid === CREATE ? silence() : undefined));
    bench.deps.fetch = network.fetch;
    expect(await performWork(bench.deps, queueId)).toBe('again');
    const [local] = bench.deps.providers;
    if (local) await useProviders(bench, [local]);
    const later = (ms: number) => ({ ...bench.deps, now: () => new Date(Date.now() + ms) });
    expect(await performWork(later(5_000), queueId)).toBe('parked');
    expect(await performWork(later(60_000), queueId)).toBe('done');
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
    await expectIdentityAt(userId, two.pds.url, 'hosted.test');
  });
});
