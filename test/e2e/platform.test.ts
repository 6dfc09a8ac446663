import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, startPlatform } from '../../infra/local/platform.ts';
import { readPlatformFile } from '../../infra/local/platform-file.ts';
import { findProcess } from '../../infra/local/process/process-table.ts';
import { call, type IdentityInfo, logIn, watchUntilActive } from './member-journey.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../infra/local');
const STEPS = ['requested', 'reserved', 'account_created', 'identity_published', 'activated', 'secured'];
const START_LIMIT_MS = 90_000;

const newDataDir = () => mkdtemp(path.join(tmpdir(), 'pds-platform-'));

describe('the platform', { timeout: START_LIMIT_MS }, () => {
  let dataDir: string;
  let platform: Platform;
  const notices: string[] = [];
  const printed: string[] = [];
  const start = () =>
    startPlatform({
      dataDir,
      durable: false,
      onNotice: (text) => notices.push(text),
      onLog: (_source, line) => printed.push(line),
    });

  beforeAll(async () => {
    dataDir = await newDataDir();
    platform = await start();
  }, START_LIMIT_MS);
  afterAll(async () => {
    await platform.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('turns a login into an identity, and both survive a restart', async () => {
    const user = { id: 9_000_000_000_001, first_name: 'Ada', username: 'ada_lovelace' };
    const started = performance.now();
    const { cookie } = await logIn(platform, user);
    const { info } = await watchUntilActive(platform, cookie, {
      pollMs: 50,
      timeoutMs: 30_000,
      steps: STEPS,
      started,
    });
    expect(info.pds_handle).toBe('@ada-lovelace.pnptv.test');

    await platform.stop();
    expect(existsSync(path.join(dataDir, 'platform.json'))).toBe(false);
    platform = await start();
    const { data } = await call<IdentityInfo>(platform, 'GET', '/api/pds/info', { cookie });
    expect(data).toMatchObject({ pds_did: info.pds_did, status: 'active' });
    const health = await call<{ accessible: boolean }>(platform, 'GET', '/api/pds/health', { cookie });
    expect(health.data.accessible).toBe(true);
  });

  it('brings a crashed PDS back and says so', async () => {
    const before = platform.pds.pid();
    platform.pds.kill();
    await expect
      .poll(() => notices.join('\n'), { timeout: 5_000 })
      .toContain('PDS ended with signal SIGKILL');
    await expect
      .poll(
        () =>
          fetch(`${platform.pdsUrl}/xrpc/_health`).then(
            (answer) => answer.status,
            () => 0,
          ),
        { timeout: 30_000 },
      )
      .toBe(200);
    expect(platform.pds.pid()).not.toBe(before);
  });

  it('leaves a PDS that was stopped on purpose alone until it is started', async () => {
    await platform.pds.stop();
    await expect(fetch(`${platform.pdsUrl}/xrpc/_health`)).rejects.toThrow();
    await platform.pds.start();
    expect((await fetch(`${platform.pdsUrl}/xrpc/_health`)).status).toBe(200);
  });

  it('lets nobody else start on its data', async () => {
    await expect(start()).rejects.toThrow(/^The platform already runs on .+ \(process \d+\)\.$/);
    expect((await run('reset.ts', '--data', dataDir)).output).toMatch(/already runs/);
    expect(existsSync(path.join(dataDir, 'platform.json'))).toBe(true);
  });

  it('keeps its credentials for its owner’s eyes and out of what it prints', () => {
    for (const file of ['platform.json', 'operator.json', 'secrets.json', 'kms.json']) {
      expect(statSync(path.join(dataDir, file)).mode & 0o077).toBe(0);
    }
    const secrets: { name: string; versions: { value: string }[] }[] = JSON.parse(
      readFileSync(path.join(dataDir, 'secrets.json'), 'utf8'),
    );
    const values = secrets.flatMap(({ versions }) =>
      versions.map(({ value }) => (value.startsWith('{') ? JSON.parse(value).password : value)),
    );
    expect(values.length).toBeGreaterThan(5);
    expect(printed.length).toBeGreaterThan(5);
    for (const value of values) expect(printed.filter((line) => line.includes(value))).toEqual([]);
  });

  it('shows tables to npm run psql', async () => {
    const { output } = await run(
      'psql.ts',
      '--data',
      dataDir,
      '-c',
      'SELECT pds_handle FROM user_pds_mapping',
    );
    expect(output).toMatch(/pds_handle\s*\n-+\n ada-lovelace\.pnptv\.test\s*\n\(1 row\)/);
  });
});

describe('npm start', { timeout: START_LIMIT_MS }, () => {
  it('says which port is taken, and ends with everything else', async () => {
    const dataDir = await newDataDir();
    const stranger = createServer().listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    const { port } = stranger.address() as AddressInfo;
    for (const [mine, other] of [
      ['--port', '--pds-port'],
      ['--pds-port', '--port'],
    ]) {
      const { code, output } = await run(
        'start.ts',
        '--data',
        dataDir,
        `${mine}`,
        String(port),
        `${other}`,
        '0',
      );
      expect([code, output.trim()]).toEqual([1, `Port ${port} is taken by another program.`]);
    }
    stranger.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('refuses options that it does not know', async () => {
    const { code, output } = await run('start.ts', '--prot', '3001');
    expect(code).toBe(2);
    expect(output).toContain("Unknown option '--prot'");
    expect((await run('start.ts', '--port', 'http')).output).toContain('--port takes a number');
  });

  it('leaves nothing behind when it is killed, and starts again', async () => {
    const dataDir = await newDataDir();
    const args = ['--data', dataDir, '--port', '0', '--pds-port', '0'];
    const first = spawnCommand('start.ts', ...args);
    await first.ready;
    const children = childrenOf(first.child.pid);
    expect(children.length).toBeGreaterThan(10);
    first.child.kill('SIGKILL');
    await expect.poll(() => children.filter((pid) => findProcess(pid)), { timeout: 10_000 }).toEqual([]);
    expect(readPlatformFile(dataDir)).toBeDefined();

    const second = spawnCommand('start.ts', ...args);
    await second.ready;
    const stopped = performance.now();
    second.child.kill('SIGINT');
    const [code] = await once(second.child, 'exit');
    expect(code).toBe(0);
    expect(performance.now() - stopped).toBeLessThan(3_500);
    expect((await run('reset.ts', '--data', dataDir)).output).toContain('Removed');
    expect(existsSync(dataDir)).toBe(false);
  });
});

function spawnCommand(
  script: string,
  ...args: string[]
): { child: ChildProcess; ready: Promise<unknown>; output(): string } {
  const child = spawn(process.execPath, [path.join(LOCAL, script), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/nonexistent' },
  });
  let output = '';
  const ready = new Promise((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      if (output.includes('Ready after')) resolve(undefined);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('close', () => reject(new Error(output)));
  });
  ready.catch(() => {});
  return { child, ready, output: () => output };
}

async function run(script: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const { child, output } = spawnCommand(script, ...args);
  const [code] = await once(child, 'close');
  return { code, output: output() };
}

/** Every process that this one started; the watchdogs that outlive it for a moment are no children of concern. */
function childrenOf(pid = 0): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
