import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Platform, startPlatform } from '../../infra/local/platform.ts';
import { readPlatformFile } from '../../infra/local/platform-file.ts';
import { findProcess } from '../../infra/local/process/process-table.ts';
import { call, type IdentityInfo, logIn, watchUntilActive } from './member-journey.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../infra/local');
const START_LIMIT_MS = 240_000;
/** A part that does not end when it is asked holds up the others for ten seconds. */
const STOP_LIMIT_MS = 10_000;

const newDataDir = () => mkdtemp(path.join(tmpdir(), 'pds-platform-'));

describe('the platform', { timeout: START_LIMIT_MS }, () => {
  let dataDir: string;
  let platform: Platform;
  const notices: string[] = [];
  const printed: string[] = [];
  const start = () =>
    startPlatform({
      dataDir,
      bundles: inject('bundles'),
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
      .poll(() => notices.join('\n'), { timeout: 30_000 })
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
    await expect(start()).rejects.toThrow(
      /^The platform already runs on .+ \(process \d+\): stop it first\.$/,
    );
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
    const query = 'SELECT pds_handle FROM user_pds_mapping';
    const { output } = await run('psql.ts', '--data', dataDir, '-U', 'postgres', '-c', query);
    expect(output).toMatch(/pds_handle\s*\n-+\n ada-lovelace\.pnptv\.test\s*\n\(1 row\)/);
  });

  it('hands whatever it does not know to psql, but never the password on the command line', async () => {
    const directory = await newDataDir();
    const psql = path.join(directory, 'psql');
    writeFileSync(psql, '#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@"\nexit 3\n', { mode: 0o755 });
    const { superuser } = platform.databaseUrls;
    const { username, password, host, pathname } = new URL(superuser);
    const { child, output } = spawnCommand(
      { PATH: directory },
      ...['psql.ts', '-At', '--data', dataDir, '-d', 'other', '-c', 'select 1'],
    );
    const [code] = await once(child, 'close');
    expect(code).toBe(3);
    expect(output().trim().split('\n')).toEqual([
      ...[decodeURIComponent(password), '-v', 'ON_ERROR_STOP=1', '-At', '-d', 'other', '-c', 'select 1'],
      ...['-d', `postgres://${username}@${host}${pathname}`],
    ]);
    rmSync(directory, { recursive: true });
  });

  it('tells who asks for more of psql than there is without it', async () => {
    const { code, output } = await run('psql.ts', '--data', dataDir, '-Atc', 'select 1');
    expect([code, output.split('\n', 1)]).toEqual([2, ["Unknown option '-A'"]]);
    expect(output).toContain('Usage: npm run psql');
  });

  it('makes an administrator of nobody who does not ask to be one, whatever his name', async () => {
    const login = async (...args: string[]) => {
      const { child, output } = spawnCommand({ cwd: dataDir }, 'login.ts', ...args, '--data', dataDir);
      await once(child, 'close');
      return output();
    };
    expect(await login('admin')).toMatch(/^Logged in admin \(member, Telegram id 9\d{12}\)/);
    const whole = new RegExp(`\\(admin, Telegram id ${platform.adminTelegramId}\\)`);
    expect(await login('boss', '--admin')).toMatch(whole);
    expect(await login('carl', '--admin')).toMatch(whole);
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

  it('leaves nothing behind when it is killed, and starts again', async () => {
    const dataDir = await newDataDir();
    const args = ['--data', dataDir, '--port', '0', '--pds-port', '0'];
    const first = spawnCommand({}, 'start.ts', ...args);
    await first.ready;
    const children = childrenOf(first.child.pid);
    expect(children.length).toBeGreaterThan(10);
    first.child.kill('SIGKILL');
    await expect.poll(() => children.filter((pid) => findProcess(pid)), { timeout: 30_000 }).toEqual([]);
    expect(readPlatformFile(dataDir)).toBeDefined();

    const second = spawnCommand({}, 'start.ts', ...args);
    await second.ready;
    const stopped = performance.now();
    second.child.kill('SIGINT');
    const [code] = await once(second.child, 'exit');
    expect(code).toBe(0);
    expect(performance.now() - stopped).toBeLessThan(STOP_LIMIT_MS);
    expect((await run('reset.ts', '--data', dataDir)).output).toContain('Removed');
    expect(existsSync(dataDir)).toBe(false);
  });

  it('leaves nothing of a platform that was killed a moment ago, by --fresh or npm run reset', async () => {
    const dataDir = await newDataDir();
    const args = ['--data', dataDir, '--port', '0', '--pds-port', '0'];
    const botToken = () => JSON.parse(readFileSync(path.join(dataDir, 'operator.json'), 'utf8')).botToken;
    const first = spawnCommand({}, 'start.ts', ...args);
    await first.ready;
    const before = botToken();
    first.child.kill('SIGKILL');
    const second = spawnCommand({}, 'start.ts', '--fresh', ...args);
    await second.ready;
    expect(botToken()).not.toBe(before);

    const children = childrenOf(second.child.pid);
    second.child.kill('SIGKILL');
    const { code, output } = await run('reset.ts', '--data', dataDir);
    expect([code, output]).toEqual([0, `Removed ${dataDir}. The next npm start begins with nothing.\n`]);
    expect(existsSync(dataDir)).toBe(false);
    await expect.poll(() => children.filter((pid) => findProcess(pid)), { timeout: 30_000 }).toEqual([]);
    expect(existsSync(dataDir)).toBe(false);
  });
});

function spawnCommand(
  { PATH = '/nonexistent', cwd }: { PATH?: string; cwd?: string },
  script: string,
  ...args: string[]
): { child: ChildProcess; ready: Promise<unknown>; output(): string } {
  const child = spawn(process.execPath, [path.join(LOCAL, script), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH },
    cwd,
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
  const { child, output } = spawnCommand({}, script, ...args);
  const [code] = await once(child, 'close');
  return { code, output: output() };
}

/** Every process that this one started; the watchdogs that outlive it for a moment are no children of concern. */
function childrenOf(pid = 0): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
