import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { chooseAccount } from '../../../infra/local/postgres/account.ts';
import { findPostgresBinaries } from '../../../infra/local/postgres/binaries.ts';
import { type Postgres, startPostgres } from '../../../infra/local/postgres/postgres.ts';
import { freePort } from '../../../infra/local/process/free-port.ts';
import { findProcess } from '../../../infra/local/process/process-table.ts';
import { NOBODY, ordinaryUser, ordinaryUserGetsHere } from './ordinary-user.ts';

const asRoot = process.getuid?.() === 0;

/** One database for the tests that do not care how it began: making one is most of the time of a start. */
const sharedHome = makeHome();
let home = sharedHome;
let dir = path.join(home, 'data');
const servers: Postgres[] = [];
const processes: ChildProcess[] = [];
const foreignServers: number[] = [];

function makeHome(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'postgres-test-'));
  chmodSync(made, 0o755);
  return made;
}

function useFreshDirectory(): void {
  home = makeHome();
  dir = path.join(home, 'data');
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const child of processes.splice(0)) {
    child.kill('SIGKILL');
  }
  for (const pid of foreignServers.splice(0)) {
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  }
  if (home !== sharedHome) rmSync(home, { recursive: true, force: true });
  home = sharedHome;
  dir = path.join(home, 'data');
});

afterAll(() => rmSync(sharedHome, { recursive: true, force: true }));

async function start(options: Partial<Parameters<typeof startPostgres>[0]> = {}): Promise<Postgres> {
  const server = await startPostgres({ dir, durable: false, ...options });
  servers.push(server);
  return server;
}

async function ask(url: string, query: string): Promise<Record<string, unknown> | undefined> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return (await sql.unsafe(query))[0];
  } finally {
    await sql.end();
  }
}

const setting = async (server: Postgres, name: string) => (await ask(server.url, `show ${name}`))?.[name];

const isAlive = (pid: number): boolean => findProcess(pid) !== undefined;

/** A Node process that starts the server on `dir`, says its pid and then just lives. */
async function startInAnotherProcess(uid?: number): Promise<{ parent: ChildProcess; pid: number }> {
  const module = new URL('../../../infra/local/postgres/postgres.ts', import.meta.url).href;
  const program = `
    const { startPostgres } = await import(${JSON.stringify(module)});
    const server = await startPostgres({ dir: ${JSON.stringify(dir)}, durable: false });
    console.log(server.pid);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    ...(uid !== undefined && { uid, gid: uid }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(parent);
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(line);
  foreignServers.push(pid);
  return { parent, pid };
}

describe('a fresh server', () => {
  it('is PostgreSQL 18 in C.UTF-8, reachable on the loopback address only, by password only', async () => {
    const server = await start();
    expect(await setting(server, 'server_version')).toMatch(/^18\./);
    expect(await setting(server, 'listen_addresses')).toBe('127.0.0.1');
    expect(await setting(server, 'unix_socket_directories')).toBe('');
    expect(
      await ask(server.url, 'select datcollate, pg_encoding_to_char(encoding) as encoding from pg_database'),
    ).toEqual({
      datcollate: 'C.UTF-8',
      encoding: 'UTF8',
    });
    expect(await setting(server, 'password_encryption')).toBe('scram-sha-256');
    const guess = new URL(server.url);
    guess.password = 'wrong';
    await expect(ask(guess.href, 'select 1')).rejects.toThrow('password authentication failed');
  });

  it('keeps data and password over a restart, the password readable for its owner only', async () => {
    const first = await start({ durable: true });
    await ask(first.url, 'create table if not exists kept as select 42 as answer');
    await first.stop();
    const second = await start({ durable: true });
    expect(await ask(second.url, 'select answer from kept')).toEqual({ answer: 42 });
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
    expect(statSync(`${dir}.password`).mode & 0o777).toBe(0o600);
  });

  it('starts where an earlier first start was interrupted', async () => {
    useFreshDirectory();
    mkdirSync(path.join(`${dir}.unfinished`, 'base'), { recursive: true });
    const server = await start();
    expect(await ask(server.url, 'select 1 as one')).toEqual({ one: 1 });
  });

  it('tells when and how it ended, and can be stopped twice', async () => {
    const server = await start();
    server.kill('SIGKILL');
    expect(await server.exited).toBe('PostgreSQL ended with signal SIGKILL.');
    await server.stop();
  });
});

describe('after an accident', () => {
  it('goes away by itself when the process that started it is killed', async () => {
    const { parent, pid } = await startInAnotherProcess();
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  });

  it('starts at once after a kill -9 of its parent', async () => {
    const { parent, pid } = await startInAnotherProcess();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const server = await start();
    expect(server.pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
  });

  it('starts after a kill -9 of the server itself, with its sessions open', async () => {
    const first = await start({ durable: true });
    const sql = postgres(first.url, { max: 3, onnotice: () => {} });
    await ask(first.url, 'create table if not exists kept as select 42 as answer');
    const busy = Promise.allSettled([1, 2, 3].map(() => sql`select pg_sleep(60)`));
    await expect
      .poll(
        async () =>
          (
            await ask(
              first.url,
              `select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep%'`,
            )
          )?.n,
      )
      .toBe(3);
    first.kill('SIGKILL');
    await first.exited;
    const second = await start({ durable: true });
    expect(await ask(second.url, 'select answer from kept')).toEqual({ answer: 42 });
    await sql.end({ timeout: 0 });
    await busy;
  });

  it('ends a postmaster of the same directory that lost its parent and its watchdog', async () => {
    await (await start()).stop();
    const { postgres: binary } = findPostgresBinaries();
    const account = chooseAccount([dir, binary]);
    const orphan = [...account.prefix, binary, '-D', dir, '-p', String(await freePort())];
    const settings = ['-c', 'unix_socket_directories=', '-c', 'local.launcher_pid=999999999'];
    spawnSync('/bin/sh', ['-c', '"$@" >/dev/null 2>&1 &', 'sh', ...orphan, ...settings], {
      ...account.spawnAs,
      cwd: '/',
      stdio: 'ignore',
    });
    await expect.poll(() => pidFile(), { timeout: 10_000 }).toBeGreaterThan(0);
    const pid = pidFile();
    const server = await start();
    expect(server.pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
  });

  it('leaves a stranger alone whose pid stands in a stale pid file', async () => {
    await (await start()).stop();
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore', ...ordinaryUser });
    processes.push(stranger);
    writeFileSync(path.join(dir, 'postmaster.pid'), `${stranger.pid}\n${dir}\n`);
    const server = await start();
    expect(await ask(server.url, 'select 1 as one')).toEqual({ one: 1 });
    expect(isAlive(Number(stranger.pid))).toBe(true);
  });

  const pidFile = () => {
    try {
      return Number.parseInt(readFileSync(path.join(dir, 'postmaster.pid'), 'utf8'), 10);
    } catch {
      return 0;
    }
  };
});

describe('what it refuses, in one sentence', () => {
  it('a directory that a living platform uses', async () => {
    const { parent, pid } = await startInAnotherProcess();
    await expect(start()).rejects.toThrow(
      `${dir} is in use by another run of this project (process ${parent.pid})`,
    );
    expect(isAlive(pid)).toBe(true);
  });

  it('a port that is taken, by its number', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as { port: number };
    await expect(start({ port })).rejects.toThrow(`PostgreSQL: port ${port} is taken by another program`);
    occupant.close();
  });

  it("a broken configuration, in PostgreSQL's words", async () => {
    useFreshDirectory();
    await (await start()).stop();
    appendFileSync(path.join(dir, 'postgresql.conf'), '\nwork_mem = plenty\n');
    await expect(start()).rejects.toThrow(/configuration file ".*postgresql\.conf" contains errors/);
  });

  it('a directory that holds something else', async () => {
    useFreshDirectory();
    mkdirSync(dir);
    writeFileSync(path.join(dir, 'thesis.txt'), 'do not overwrite');
    await expect(start()).rejects.toThrow(`${dir} holds something else than a database`);
    expect(readFileSync(path.join(dir, 'thesis.txt'), 'utf8')).toBe('do not overwrite');
  });
});

describe.runIf(asRoot)('accounts', () => {
  it('root lends it another account', async () => {
    await start();
    expect(statSync(dir).uid).toBe(NOBODY);
  });

  it('root can use a directory that others may not enter', async () => {
    useFreshDirectory();
    chmodSync(home, 0o700);
    const server = await start();
    expect(await ask(server.url, 'select 1 as one')).toEqual({ one: 1 });
  });

  it.runIf(ordinaryUserGetsHere)('an ordinary user runs it himself', async () => {
    useFreshDirectory();
    chmodSync(home, 0o777);
    const { pid } = await startInAnotherProcess(NOBODY);
    expect(isAlive(pid)).toBe(true);
    expect(statSync(`${dir}.password`).uid).toBe(NOBODY);
  });
});
