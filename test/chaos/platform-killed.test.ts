import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { readPlatformFile } from '../../infra/local/platform-file.ts';
import { freePort } from '../../infra/local/process/free-port.ts';
import { logIn } from '../e2e/member-journey.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from '../e2e/prove-members.ts';
import { newcomer, openPlatform, type RunningPlatform, untilActive } from '../e2e/running-platform.ts';
import { expectReconciled } from './reconciliation.ts';
import { seededRandom } from './seeded-random.ts';

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 1_500;
const ROUNDS = [
  ['ada', 'grace_h', 'barbara'],
  ['edsger', 'alan', 'donald'],
];

/** Everything in one process tree and one data directory, as `npm start` runs it: kill -9, and start again. */
describe('a platform that is killed', () => {
  let dataDir: string;
  let child: ChildProcess | undefined;
  let running: RunningPlatform | undefined;
  afterAll(async () => {
    child?.kill('SIGKILL');
    await running?.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it(`in the middle of provisioning ends in working identities after the next start (CHAOS_SEED=${SEED})`, async () => {
    const random = seededRandom(SEED);
    dataDir = await mkdtemp(path.join(tmpdir(), 'pds-killed-'));
    const [httpPort, pdsPort] = [await freePort(), await freePort()];
    const members: string[] = [];
    for (const usernames of ROUNDS) {
      child = await startChild({ dataDir, httpPort, pdsPort });
      const app = readPlatformFile(dataDir);
      if (!app) throw new Error('the platform has left no platform.json');
      const users = usernames.map(newcomer);
      await Promise.all(users.map((user) => logIn(app, user)));
      members.push(...users.map(({ id }) => String(id)));
      await sleep(random() * LONGEST_LIFE_MS);
      child.kill('SIGKILL');
    }

    running = await openPlatform({ dataDir, httpPort, pdsPort, durable: true });
    const steps = await running.sql<{ step: string; count: number }[]>`
      SELECT provisioning_step AS step, count(*) FROM user_pds_mapping GROUP BY step`;
    console.log(`CHAOS_SEED=${SEED}: found after the kills:`, [...steps]);
    expect(steps.reduce((sum, { count }) => sum + count, 0)).toBe(members.length);
    await untilActive(running, { timeoutMs: 150_000 });
    await expectWorkingIdentities(running, members);
    await expectNoDoublesNorOrphans(running);
    await expectReconciled(running);
  }, 300_000);
});

async function startChild(options: {
  dataDir: string;
  httpPort: number;
  pdsPort: number;
}): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./platform-process.ts', import.meta.url)),
      `--data=${options.dataDir}`,
      `--bundles=${inject('bundles')}`,
      `--port=${options.httpPort}`,
      `--pds-port=${options.pdsPort}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit'),
  ]);
  if (line !== 'ready') throw new Error(`the platform did not start: ${line}`);
  return child;
}
