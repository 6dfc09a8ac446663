import { IdResolver } from '@atproto/identity';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { memberHostFetch } from '../../../infra/local/atproto/member-fetch.ts';
import { type Plc, startPlc } from '../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../lib/brands.ts';
import { encodeMultikey } from '../../../lib/identity/multikey.ts';
import { readPlcLog } from '../../../lib/pds/plc/read-log.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { openFromMapping } from '../../../lib/provisioning/secrets.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { plc } from '../../unit/identity/plc/judge.ts';
import { openCustody } from '../lifecycle/custody/custody.ts';
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
  sqlAsOwner,
} from './stage.ts';
import { expectWorkingIdentity } from './working-identity.ts';

const CREATE = 'com.atproto.server.createAccount';
const UPDATE_HANDLE = 'com.atproto.identity.updateHandle';

let directory: Plc;
let stage: Stage;
let inviteCode: string;
let bench: Bench;
let skipped = 0;
const now = () => new Date(Date.now() + skipped);

beforeAll(async () => {
  directory = await startPlc();
  stage = await openStage({ plcUrl: directory.url, inviteRequired: true });
  inviteCode = await makeInviteCode();
});
afterAll(async () => {
  await stage.close();
  await directory.stop();
});
beforeEach(async () => {
  skipped = 0;
  bench = await openPlcBench();
});
afterEach(async () => {
  directory.kill('SIGCONT');
  await bench.close();
});

async function openPlcBench(): Promise<Bench> {
  const made = await openBench(stage, { now, times: TIMES.local });
  made.deps.naming = { ...made.deps.naming, didMethod: 'plc' };
  made.deps.providers = made.deps.providers.map((provider) => ({ ...provider, inviteCode }));
  return made;
}

async function makeInviteCode(): Promise<string> {
  const response = await fetch(`${stage.pds.url}/xrpc/com.atproto.server.createInviteCode`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`admin:${stage.pds.adminPassword}`).toString('base64')}`,
    },
    body: JSON.stringify({ useCount: 1_000 }),
  });
  return ((await response.json()) as { code: string }).code;
}

const told = async () => [
  ...(await sqlAsOwner(bench.database, (sql) => sql`SELECT kind, subject FROM operator_notices`)),
];
const logOf = (did: string | null) => readPlcLog({ fetch, plcUrl: directory.url }, did as Did);

/** Works on a row whenever it is due; what it waits for is skipped, since nothing is under way that needs the time. */
async function workOn(queueId: string) {
  for (let run = 0; run < 12; run += 1) {
    const row = await rowOf(bench, queueId);
    if (row.status === 'completed' || row.status === 'failed') return row;
    skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
    await performWork(bench.deps, queueId);
  }
  throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
}

/** What a did:plc is, beside working: in the directory's log, and ours to change. */
async function expectPlcIdentity(userId: string) {
  const identity = await expectWorkingIdentity(stage, bench, userId);
  expect(identity).toMatchObject({
    did_method: 'plc',
    pds_did: expect.stringMatching(/^did:plc:[a-z2-7]{24}$/),
    pds_endpoint: stage.pds.url,
    service_handle: expect.stringMatching(/^m[a-z2-7]{15}\.hosted\.test$/),
  });
  const { data, genesis } = await logOf(identity.pds_did);
  expect(genesis).toMatchObject({ alsoKnownAs: [`at://${identity.service_handle}`] });
  expect(data).toMatchObject({
    rotationKeys: [`did:key:${identity.rotation_public_key}`, expect.stringMatching(/^did:key:zQ3s/)],
    alsoKnownAs: [`at://${identity.pds_handle}`],
    services: { atproto_pds: { endpoint: stage.pds.url } },
    verificationMethods: { atproto: `did:key:${identity.atproto_public_key}` },
  });
  const sealed = identity.rotation_key_sealed ?? '';
  const key = await openFromMapping(bench.deps.vault, identity, 'rotation_key_sealed', sealed);
  const bytes = secp256k1.getPublicKey(key, true);
  expect(encodeMultikey({ algorithm: 'k256', bytes })).toBe(identity.rotation_public_key);
  return identity;
}

/** A network to the PDS and the directory on which something goes wrong with the first call of this kind. */
function breakingAt(call: string, fault: (args: { send: () => Promise<Response> }) => Promise<Response>) {
  const network = faultyNetwork(({ nsid, ...args }) => {
    if (nsid !== call) return undefined;
    network.heal();
    return fault(args);
  });
  bench.deps.fetch = network.fetch;
  return network;
}

describe('a did:plc', () => {
  it('is made by the PDS, gets our handle, and anybody finds it in the directory', async () => {
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { pds_did, pds_handle, atproto_public_key } = await expectPlcIdentity(userId);
    const outside = memberHostFetch({ domain: DOMAIN, gatewayUrl: stage.gateway.url, fetch });
    const resolver = new IdResolver({ plcUrl: directory.url, fetch: outside });
    expect(await resolver.handle.resolve(pds_handle ?? '')).toBe(pds_did);
    expect(await resolver.did.resolveAtprotoData(pds_did ?? '')).toEqual({
      did: pds_did,
      handle: pds_handle,
      pds: stage.pds.url,
      signingKey: `did:key:${atproto_public_key}`,
    });
    expect((await outside(`https://${pds_handle}/.well-known/did.json`)).status).toBe(404);
  });

  it('passes its check until the directory is down, and again when it is back', async () => {
    const { userId, queueId } = await bench.member();
    await performWork(bench.deps, queueId);
    const check = async () => {
      const { queueId: verify } = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
      await bench.sql`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${verify}`;
      return performWork(bench.deps, verify);
    };
    expect(await check()).toBe('done');
    expect(await identityOf(bench, userId)).toMatchObject({ verification_status: 'accessible' });
    directory.kill('SIGSTOP');
    const { outside } = bench.deps;
    bench.deps.outside = { ...outside, timeoutMs: 200 };
    expect(await check()).toBe('again');
    skipped += 2 * 60_000;
    expect(await check()).toBe('again');
    skipped += 2 * 60_000;
    expect(await check()).toBe('done');
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'inaccessible',
      health_problem: 'PLC_DOWN',
    });
    expect(await told()).toEqual([{ kind: 'plc_directory_down', subject: directory.url }]);
    // The PDS, which reads the directory as well, is not to blame.
    expect([...(await bench.sql`SELECT breaker_state, consecutive_failures FROM pds_providers`)]).toEqual([
      { breaker_state: 'closed', consecutive_failures: 0 },
    ]);
    directory.kill('SIGCONT');
    bench.deps.outside = outside;
    expect(await check()).toBe('done');
    expect(await identityOf(bench, userId)).toMatchObject({
      verification_status: 'accessible',
      health_problem: null,
    });
  });

  it('has the member’s own key in its document, where the directory takes such keys', async () => {
    const { userId, queueId } = await bench.member();
    const handedIn: string[] = [];
    bench.deps.fetch = async (input, init) => {
      if (init?.method !== 'POST' || !String(input).startsWith(directory.url)) return fetch(input, init);
      handedIn.push(String(init.body));
      return new Response('OK');
    };
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { pds_did, pds_public_key } = await identityOf(bench, userId);
    const log = await new plc.Client(directory.url).getOperationLog(pds_did ?? '');
    const [operation] = handedIn.map((body) => JSON.parse(body));
    const after = await plc.validateOperationLog(pds_did ?? '', [...log, operation]);
    const { data } = await logOf(pds_did);
    expect(after).toEqual({
      did: pds_did,
      rotationKeys: data?.rotationKeys,
      alsoKnownAs: data?.alsoKnownAs,
      services: data?.services,
      verificationMethods: { atproto: expect.any(String), 'pnptv-1': `did:key:${pds_public_key}` },
    });
  });

  it('gets the next handle when an account at the PDS has the first', async () => {
    const { pds_handle: taken } = await foreignIdentity();
    const username = taken?.split('.')[0] ?? '';
    const { userId, queueId } = await bench.member({ username });
    expect(await performWork(bench.deps, queueId)).toBe('done');
    expect((await expectPlcIdentity(userId)).pds_handle).toBe(`${username}-2.${DOMAIN}`);
  });

  it('waits alone when the PDS has heard of too many handles for it', async () => {
    const { userId, queueId } = await bench.member();
    bench.deps.fetch = faultyNetwork(({ nsid }) =>
      nsid.endsWith('updateHandle')
        ? Promise.resolve(Response.json({ error: 'RateLimitExceeded' }, { status: 429 }))
        : undefined,
    ).fetch;
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'account_busy', attempt_count: 0 });
    bench.deps.fetch = fetch;
    const neighbour = await bench.member();
    expect(await performWork(bench.deps, neighbour.queueId)).toBe('done');
    const later = { ...bench.deps, now: () => new Date(Date.now() + 301_000) };
    expect(await performWork(later, queueId)).toBe('done');
    await expectPlcIdentity(userId);
  });

  it('is born in no domain that cannot be one', async () => {
    const { userId, queueId } = await bench.member();
    bench.deps.fetch = faultyNetwork(({ nsid, send }) =>
      nsid.endsWith('describeServer')
        ? send().then(async (answer) =>
            Response.json({
              ...((await answer.json()) as object),
              availableUserDomains: [`.${'a'.repeat(300)}`, 'nonsense', '.a b'],
            }),
          )
        : undefined,
    ).fetch;
    expect(await performWork(bench.deps, queueId)).toBe('failed');
    expect(await identityOf(bench, userId)).toMatchObject({ error_code: 'NO_SERVICE_DOMAIN' });
  });

  it('leaves members alone who have a did:web', async () => {
    bench.deps.naming = { ...bench.deps.naming, didMethod: 'web' };
    const { userId, queueId } = await bench.member();
    bench.deps.fetch = faultyNetwork(({ nsid }) =>
      nsid === CREATE ? Promise.reject(Object.assign(new Error(), { code: 'ECONNREFUSED' })) : undefined,
    ).fetch;
    await performWork(bench.deps, queueId);
    bench.deps.naming = { ...bench.deps.naming, didMethod: 'plc' };
    bench.deps.fetch = fetch;
    expect(await workOn(queueId)).toMatchObject({ status: 'completed' });
    const { did_method, rotation_key_sealed } = await expectWorkingIdentity(stage, bench, userId);
    expect([did_method, rotation_key_sealed]).toEqual(['web', null]);
  });
});

/** Of a worker whose database is gone. */
async function foreignIdentity() {
  const own = bench;
  bench = await openPlcBench();
  const { userId, queueId } = await bench.member();
  await performWork(bench.deps, queueId);
  const identity = await identityOf(bench, userId);
  await bench.close();
  bench = own;
  stage.gateway.serve(bench.sql);
  return identity;
}

describe('a PDS that takes new accounts by invitation', () => {
  it('gets a code made by its own admin, where the settings have none', async () => {
    bench.deps.providers = bench.deps.providers.map((provider) => ({ ...provider, inviteCode: undefined }));
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('done');
    await expectPlcIdentity(userId);
  });

  it('fails the work at once, with a reason, when we have neither', async () => {
    bench.deps.providers = bench.deps.providers.map((provider) => ({
      ...provider,
      inviteCode: undefined,
      adminPassword: undefined,
    }));
    const { userId, queueId } = await bench.member();
    expect(await performWork(bench.deps, queueId)).toBe('failed');
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'error', error_code: 'NO_INVITE' });
  });
});

async function withForeignTokens(answer: Response): Promise<Response> {
  const claims = Buffer.from(JSON.stringify({ sub: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' })).toString(
    'base64url',
  );
  const foreign = { accessJwt: `e30.${claims}.x`, refreshJwt: `e30.${claims}.x` };
  return Response.json({ ...((await answer.json()) as object), ...foreign });
}

describe('when the outcome of createAccount stays unknown', () => {
  it.each<[string, (args: { send: () => Promise<Response> }) => Promise<Response>]>([
    ['not at all', ({ send }) => send().then(silence)],
    ['with half a JSON', ({ send }) => send().then(() => new Response('{"did": "did:plc'))],
    ['with tokens of somebody else', async ({ send }) => withForeignTokens(await send())],
    ['with a 502', ({ send }) => send().then(() => new Response('<h1>Oops</h1>', { status: 502 }))],
  ])('adopts the account of a PDS that did its work and answered %s', async (_, fault) => {
    const { userId, queueId } = await bench.member();
    const network = breakingAt(CREATE, fault);
    expect(await workOn(queueId)).toMatchObject({ status: 'completed' });
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
    await expectPlcIdentity(userId);
  });

  it('does not believe a PDS that names the DID of somebody else, and finds its own', async () => {
    const { pds_did: other } = await foreignIdentity();
    const { userId, queueId } = await bench.member();
    breakingAt(CREATE, async ({ send }) => {
      const answer = (await (await send()).json()) as object;
      // Tokens that say nothing of whose they are.
      return Response.json({ ...answer, did: other, accessJwt: 'opaque', refreshJwt: 'opaque' });
    });
    expect(await performWork(bench.deps, queueId)).toBe('again');
    expect((await rowOf(bench, queueId)).error_details).toMatchObject({ code: 'DID_NOT_OURS' });
    expect(await workOn(queueId)).toMatchObject({ status: 'completed' });
    expect((await expectPlcIdentity(userId)).pds_did).not.toBe(other);
  });

  it('makes another when the quarantine is over, and one that comes too late hurts nobody', async () => {
    const { userId, queueId } = await bench.member();
    let lateCall: (() => Promise<Response>) | undefined;
    const network = breakingAt(CREATE, ({ send }) => {
      lateCall = send;
      return silence();
    });
    expect(await workOn(queueId)).toMatchObject({ status: 'completed', attempt_count: 1 });
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(2);
    const before = await expectPlcIdentity(userId);
    expect((await lateCall?.())?.status).toBe(400);
    expect((await expectPlcIdentity(userId)).pds_did).toBe(before.pds_did);
  });
});

describe('a PLC directory in trouble', () => {
  it('before the creation: the member waits, and pays nothing', async () => {
    const { userId, queueId } = await bench.member();
    directory.kill('SIGSTOP');
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await rowOf(bench, queueId)).toMatchObject({
      parked_reason: 'plc_down',
      attempt_count: 0,
      claims: 0,
    });
    expect(await identityOf(bench, userId)).toMatchObject({ pds_did: null, create_started_at: null });
    expect(await told()).toEqual([]);
    skipped += 6 * 60_000;
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    expect(await told()).toEqual([{ kind: 'plc_directory_down', subject: directory.url }]);
    directory.kill('SIGCONT');
    expect(await workOn(queueId)).toMatchObject({ status: 'completed', attempt_count: 0 });
    await expectPlcIdentity(userId);
  });

  it('while the PDS makes the DID: what comes of it is adopted', async () => {
    const { userId, queueId } = await bench.member();
    let finished: Promise<Response> | undefined;
    const network = breakingAt(CREATE, ({ send }) => {
      directory.kill('SIGSTOP');
      finished = send();
      return silence();
    });
    expect(await performWork(bench.deps, queueId)).toBe('again');
    directory.kill('SIGCONT');
    await finished;
    expect(await workOn(queueId)).toMatchObject({ status: 'completed' });
    expect(network.asked.filter((nsid) => nsid === CREATE)).toHaveLength(1);
    await expectPlcIdentity(userId);
  });

  it('while the PDS gives the handle: it is given once more', async () => {
    const { userId, queueId } = await bench.member();
    let finished: Promise<Response> | undefined;
    breakingAt(UPDATE_HANDLE, ({ send }) => {
      directory.kill('SIGSTOP');
      finished = send();
      return silence();
    });
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    directory.kill('SIGCONT');
    await finished;
    expect(await workOn(queueId)).toMatchObject({ status: 'completed', attempt_count: 0 });
    await expectPlcIdentity(userId);
  });
});

describe('custody of a did:plc', () => {
  const REFUSED = expect.objectContaining({ code: 'BACKUP_REJECTED' });

  it('brings the rotation key back with the rest, sealed for what comes next', async () => {
    const custody = await openCustody(stage);
    try {
      custody.bench.deps.naming = { ...custody.bench.deps.naming, didMethod: 'plc' };
      const userId = await custody.member();
      const backupId = await custody.backUp(userId);
      const before = await identityOf(custody.bench, userId);
      expect(before).toMatchObject({ status: 'active', did_method: 'plc' });
      // As damaged as can be, and the backup still opens.
      await custody.db`
        UPDATE user_pds_mapping SET rotation_key_sealed = account_password_sealed WHERE user_id = ${userId}`;
      await custody.restore(userId, backupId);
      const after = await identityOf(custody.bench, userId);
      expect(after).toMatchObject({ credential_version: 2, rotation_public_key: before.rotation_public_key });
      const [was, is] = [before, after].map((identity) =>
        openFromMapping(custody.vault, identity, 'rotation_key_sealed', identity.rotation_key_sealed ?? ''),
      );
      expect(await is).toEqual(await was);

      // A key that is not the one of the DID comes back for nobody.
      const newer = await custody.backUp(userId);
      await custody.db`UPDATE user_pds_mapping SET rotation_public_key = 'zOther' WHERE user_id = ${userId}`;
      await expect(custody.restore(userId, newer)).rejects.toThrow(REFUSED);
    } finally {
      await custody.close();
      stage.gateway.serve(bench.sql);
    }
  });
});

describe('a worker that dies', () => {
  const READS =
    /^(SELECT|_health|audit|com\.atproto\.(server\.(describeServer|checkAccountStatus)|identity\.getRecom|identity\.resolve))/;
  const FIXED = [
    'account_password_sealed',
    'rotation_key_sealed',
    'pds_private_key_encrypted',
    'pds_did',
    'pds_handle',
    'service_handle',
  ] as const;

  async function dieAt(moment: number): Promise<{ died: boolean; calls: string[] }> {
    const { userId, queueId } = await bench.member();
    const { deps, life } = mortal(bench.deps, moment);
    await performWork(deps, queueId).catch(() => {});
    const left = await identityOf(bench, userId);
    const row = await workOn(queueId);
    expect(row, `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({ status: 'completed' });
    const identity = await expectPlcIdentity(userId);
    for (const column of FIXED) if (left[column] !== null) expect(identity[column]).toBe(left[column]);
    return { died: life.dead, calls: life.calls };
  }

  it('leaves work that another ends in one did:plc, whenever it dies', { timeout: 120_000 }, async () => {
    const { calls } = await dieAt(0);
    expect(calls).toEqual(expect.arrayContaining([CREATE, UPDATE_HANDLE]));
    // What only reads leaves nothing: after it is as it was before.
    const moments = calls.flatMap((call, index) => (READS.test(call) ? [] : [2 * (index + 1)]));
    for (const moment of moments) await dieAt(moment);
  });
});
