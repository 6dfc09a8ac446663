import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sideBySide } from '../../../lib/lifecycle/sweep/side-by-side.ts';
import { createSession } from '../../../lib/pds/client/sessions.ts';
import { connectionTo } from '../../../lib/pds/provider.ts';
import { hasWords } from '../../../lib/provisioning/dead-letters/causes.ts';
import { enqueue } from '../../../lib/provisioning/queue/queue.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { but, NONSENSE, token } from './lies.ts';
import { type Lie, startLyingProxy } from './lying-proxy.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage, workUntilOver } from './stage.ts';
import { expectWorkingIdentity, opened } from './working-identity.ts';

const METHODS = [
  'createAccount',
  'getRecommendedDidCredentials',
  'activateAccount',
  'checkAccountStatus',
] as const;
/** More at a time, and a slow machine times out without any lie. */
const AT_ONCE = 8;
const FOREIGN_KEY = 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
const ED25519_KEY = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
const soon = () => Math.floor(Date.now() / 1000) + 3600;

describe('a PDS that lies', () => {
  let stage: Stage;
  let bench: Bench;
  let proxy: Awaited<ReturnType<typeof startLyingProxy>>;
  let foreign: { did: string; accessJwt: string; refreshJwt: string };
  beforeAll(async () => {
    stage = await openStage();
    proxy = await startLyingProxy(stage.pds.url);
    bench = await openBench(stage);
    const [provider] = bench.deps.providers;
    if (!provider) throw new Error('no provider');
    Object.assign(bench.deps, {
      providers: [{ ...provider, endpoint: proxy.url }],
      random: { ...bench.deps.random, fraction: () => 0.05 },
    });
    const { userId, queueId } = await bench.member({ username: 'somebody_else' });
    await performWork(bench.deps, queueId);
    const identity = await identityOf(bench, userId);
    const password = await opened(bench, identity, 'account_password_sealed');
    const did = identity.pds_did;
    if (did === null) throw new Error('no DID');
    const pds = connectionTo(
      { fetch, now: () => new Date() },
      { ...provider, endpoint: stage.pds.url },
      10_000,
    );
    foreign = await createSession(pds, { did, password });
  });
  afterAll(async () => {
    await bench?.close();
    await proxy?.close();
    await stage?.close();
  });

  /** Provisions a member for each of these lies; returns whose work how ended. */
  async function provisionAll(lies: { method: string; lie: Lie; times?: number }[], prefix: string) {
    const named = lies.map((liar, n) => ({ ...liar, name: `${prefix}${n}` }));
    return sideBySide(named, AT_ONCE, async (liar) => {
      proxy.lieOf(liar);
      const { userId, queueId } = await bench.member({ username: liar.name });
      return { userId, ...(await workUntilOver(bench, queueId)) };
    });
  }

  it('once, in bytes that no PDS sends, costs nobody his identity', { timeout: 100_000 }, async () => {
    const lies = METHODS.flatMap((method) => Object.values(NONSENSE).map((lie) => ({ method, lie })));
    const ended = await provisionAll(lies, 'bytes');
    expect(ended.map(({ status }) => status)).toEqual(lies.map(() => 'completed'));
    expect(METHODS.flatMap(proxy.untold)).toEqual([]);
    for (const { userId } of ended) await expectWorkingIdentity(stage, bench, userId);
  });

  it('once, with what belongs to somebody else or is over, is not believed', {
    timeout: 100_000,
  }, async () => {
    const recommended = 'getRecommendedDidCredentials';
    const lies = [
      { method: 'createAccount', lie: but(() => foreign) },
      { method: 'createAccount', lie: but(() => ({ ...foreign, did: undefined })) },
      { method: 'createAccount', lie: but(({ did }) => ({ ...foreign, did })) },
      {
        method: 'createAccount',
        lie: but(({ did }) => ({ accessJwt: token({ sub: String(did), exp: soon() - 7200 }) })),
      },
      {
        method: 'createAccount',
        lie: but(() => ({ refreshJwt: token({ sub: 'did:web:nobody.test', exp: soon() }) })),
      },
      // A token that looks like ours and opens nothing.
      {
        method: 'createAccount',
        lie: but(({ did }) => ({ accessJwt: token({ sub: String(did), exp: soon() }) })),
      },
      { method: recommended, lie: but(() => ({ verificationMethods: { atproto: FOREIGN_KEY } })) },
      { method: recommended, lie: but(() => ({ verificationMethods: { atproto: ED25519_KEY } })) },
      { method: recommended, lie: but(() => ({ verificationMethods: { atproto: 'did:key:zzz' } })) },
      {
        method: recommended,
        lie: but(() => ({ services: { atproto_pds: { endpoint: 'http://127.0.0.1:9' } } })),
      },
      { method: 'checkAccountStatus', lie: but(() => ({ validDid: false })) },
      { method: 'checkAccountStatus', lie: but(() => ({ activated: false })) },
    ];
    const ended = await provisionAll(lies, 'mixed');
    expect(ended.map(({ status }) => status)).toEqual(lies.map(() => 'completed'));
    expect(METHODS.flatMap(proxy.untold)).toEqual([]);
    for (const { userId } of ended) await expectWorkingIdentity(stage, bench, userId);
  });

  it('always, ends in a reason that operators have words for, and stores nothing of it', {
    timeout: 100_000,
  }, async () => {
    const html = NONSENSE.html ?? (() => {});
    const recommended = 'getRecommendedDidCredentials';
    const elsewhere = but(() => ({ services: { atproto_pds: { endpoint: proxy.url } } }));
    const lies = [
      { method: recommended, lie: html, code: 'PDS_MALFORMED' },
      { method: recommended, lie: elsewhere, code: 'DID_DOCUMENT_NOT_SEEN' },
      {
        method: recommended,
        lie: but(() => ({ services: { atproto_pds: { endpoint: 'http://127.0.0.1:9' } } })),
        code: 'PDS_ADDRESS_WRONG',
      },
      {
        method: recommended,
        lie: but(() => ({ verificationMethods: { atproto: FOREIGN_KEY } })),
        code: 'DID_DOCUMENT_NOT_SEEN',
      },
      { method: 'activateAccount', lie: html, code: 'PDS_MALFORMED' },
      { method: 'checkAccountStatus', lie: but(() => ({ activated: false })), code: 'ACCOUNT_NOT_ACTIVATED' },
    ].map((liar) => ({ ...liar, times: 1_000 }));
    const ended = await provisionAll(lies, 'always');
    expect(ended.map(({ error_details }) => error_details?.code)).toEqual(lies.map(({ code }) => code));
    for (const { userId } of ended) {
      const identity = await identityOf(bench, userId);
      expect(identity).toMatchObject({ status: 'error', pds_access_token: null, pds_refresh_token: null });
      expect(hasWords(identity.error_code ?? '')).toBe(true);
    }
  });

  it('at a check replaces no stored token by one that is not his', { timeout: 100_000 }, async () => {
    const lies: Lie[] = [
      ...Object.values(NONSENSE),
      but(() => foreign),
      but(({ did }) => ({ ...foreign, did })),
      but(({ did }) => ({ accessJwt: token({ sub: String(did), exp: soon() - 7200 }) })),
    ];
    await sideBySide([...lies.entries()], AT_ONCE, async ([n, lie]) => {
      const name = `check${n}`;
      const { userId, queueId } = await bench.member({ username: name });
      await workUntilOver(bench, queueId);
      const before = await identityOf(bench, userId);
      for (const method of ['refreshSession', 'createSession']) proxy.lieOf({ name, method, lie });
      const check = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
      await performWork(bench.deps, check.queueId);
      expect(await rowOf(bench, check.queueId)).not.toMatchObject({ status: 'failed' });
      const after = await expectWorkingIdentity(stage, bench, userId);
      expect(after.account_password_sealed).toBe(before.account_password_sealed);
    });
    expect(proxy.untold('refreshSession')).toEqual([]);
  });
});
