import { IdResolver } from '@atproto/identity';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { memberHostFetch } from '../../../infra/local/atproto/member-fetch.ts';
import { type Plc, startPlc } from '../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../lib/brands.ts';
import { encodeMultikey } from '../../../lib/identity/multikey.ts';
import { readPlcLog } from '../../../lib/pds/plc/directory.ts';
import { openFromMapping } from '../../../lib/provisioning/secrets.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { plc } from '../../unit/identity/plc/judge.ts';
import { faultyNetwork, silence } from './faulty.ts';
import { mortal } from './mortal.ts';
import {
  type Bench,
  DOMAIN,
  identityOf,
  openBench,
  openStage,
  rowOf,
  type Stage,
  workUntilOver,
} from './stage.ts';
import { expectWorkingIdentity, opened } from './working-identity.ts';
import { secp256k1 } from '@noble/curves/secp256k1.js';

const CREATE = 'com.atproto.server.createAccount';
const SERVICE_HANDLE = /^m[a-z2-7]{15}\.hosted\.test$/;

let directory: Plc;
let stage: Stage;
let bench: Bench;
beforeAll(async () => {
  directory = await startPlc();
  stage = await openStage({ plcUrl: directory.url });
});
afterAll(async () => {
  await stage.close();
  await directory.stop();
});
beforeEach(async () => {
  bench = await openPlcBench();
});
afterEach(() => bench.close());

async function openPlcBench(changes: Parameters<typeof openBench>[1] = {}): Promise<Bench> {
  const made = await openBench(stage, { times: TIMES.test, ...changes });
  made.deps.naming = { ...made.deps.naming, didMethod: 'plc' };
  return made;
}

const logOf = (did: string) => readPlcLog({ fetch, plcUrl: directory.url }, did as Did);

/** What a did:plc is, beside working: in the directory's log, and ours to change. */
async function expectPlcIdentity(userId: string) {
  const identity = await expectWorkingIdentity(stage, bench, userId);
  const { pds_did, pds_handle, rotation_public_key } = identity;
  expect(identity).toMatchObject({
    did_method: 'plc',
    pds_did: expect.stringMatching(/^did:plc:[a-z2-7]{24}$/),
    pds_endpoint: stage.pds.url,
    service_handle: expect.stringMatching(SERVICE_HANDLE),
  });
  const { data, genesis } = await logOf(pds_did ?? '');
  const ours = `did:key:${rotation_public_key}`;
  expect(genesis).toMatchObject({ alsoKnownAs: [`at://${identity.service_handle}`] });
  expect(data).toMatchObject({
    rotationKeys: [ours, expect.stringMatching(/^did:key:zQ3s/)],
    alsoKnownAs: [`at://${pds_handle}`],
    services: { atproto_pds: { endpoint: stage.pds.url } },
    verificationMethods: { atproto: `did:key:${identity.atproto_public_key}` },
  });
  const sealed = identity.rotation_key_sealed ?? '';
  const key = await openFromMapping(bench.deps.vault, identity, 'rotation_key_sealed', sealed);
  const bytes = secp256k1.getPublicKey(key, true);
  expect(encodeMultikey({ algorithm: 'k256', bytes })).toBe(rotation_public_key);
  return identity;
}

describe('a did:plc', () => {
  it('is made by the PDS, gets our handle, and anybody finds it in the directory', async () => {
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { pds_did, pds_handle, atproto_public_key } = await expectPlcIdentity(userId);
    const resolver = new IdResolver({
      plcUrl: directory.url,
      fetch: memberHostFetch({ domain: DOMAIN, gatewayUrl: stage.gateway.url, fetch }),
    });
    expect(await resolver.handle.resolve(pds_handle ?? '')).toBe(pds_did);
    expect(await resolver.did.resolveAtprotoData(pds_did ?? '')).toEqual({
      did: pds_did,
      handle: pds_handle,
      pds: stage.pds.url,
      signingKey: `did:key:${atproto_public_key}`,
    });
  });
});
