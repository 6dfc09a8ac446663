import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Pds, startPds } from '../../infra/local/atproto/pds.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from '../e2e/prove-members.ts';
import { logInAll, openPlatform, type RunningPlatform, untilActive } from '../e2e/running-platform.ts';
import { startLateProxy } from './late-proxy.ts';
import { expectReconciled } from './reconciliation.ts';

const LATE_MS = 30_000;

/** Stage `local`, the shortest whose quarantine (60 s) is above 30 s: real times, nothing is hurried. */
describe('a PDS that finishes createAccount 30 s after the caller gave up', () => {
  let running: RunningPlatform;
  let pds: Pds;
  let proxy: Awaited<ReturnType<typeof startLateProxy>>;

  beforeAll(async () => {
    running = await openPlatform({ stage: 'local' });
    const { platform, dataDir } = running;
    // The PDS moves to another port, and where it was the proxy listens.
    await platform.pds.stop();
    const { plcUrl, url: gatewayUrl, domain, pdsUrl } = platform;
    pds = await startPds({ dir: path.join(dataDir, 'pds'), plcUrl, gatewayUrl, domain });
    proxy = await startLateProxy({
      port: Number(new URL(pdsUrl).port),
      target: pds.url,
      slowPath: '/xrpc/com.atproto.server.createAccount',
      lateMs: LATE_MS,
    });
  });
  afterAll(async () => {
    proxy?.stop();
    await pds?.stop();
    await running?.close();
  });

  it('ends in one working identity for each of two members', async () => {
    expect(TIMES.local.quarantine * 1_000).toBeGreaterThan(TIMES.local.http * 1_000 + LATE_MS);
    const members = await logInAll(running, ['late_larry', 'late_linda']);
    const ids = members.map(({ id }) => id);
    await untilActive(running, { timeoutMs: 100_000, hurried: false });
    expect(proxy.late).toEqual(members.map(() => ({ lateMs: expect.any(Number), status: 200 })));
    for (const { lateMs } of proxy.late) expect(lateMs).toBeGreaterThanOrEqual(LATE_MS);
    await expectWorkingIdentities(running, ids);
    await expectNoDoublesNorOrphans(running, pds.url);
    await expectReconciled(running);
  }, 130_000);
});
