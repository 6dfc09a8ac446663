import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { type Child, type OnLog, startError, superviseChild, tieToOurLife } from '../process/child.ts';
import { freePort } from '../process/free-port.ts';
import { chooseAccount } from './account.ts';
import { findPostgresBinaries } from './binaries.ts';
import { clusterExists, createCluster, passwordFile, SUPERUSER } from './cluster.ts';
import { endOrphanedPostmaster, LAUNCHER_SETTING } from './orphan.ts';

export type PostgresOptions = {
  /** Data directory; made at the first start. Its password lies beside it, in `<dir>.password`. */
  dir: string;
  /** Loopback port; 0 or absent: a free one. */
  port?: number;
  /** False skips every fsync: for tests, whose data may die with the machine. Default true. */
  durable?: boolean;
  maxConnections?: number;
  onLog?: OnLog;
};

export type Postgres = Child & { url: string; port: number };

const START_TIMEOUT_MS = 60_000;

/**
 * Starts a real PostgreSQL 18 on 127.0.0.1 and resolves when it accepts connections.
 * `url` is the superuser's. The server goes away when this process does, however that ends.
 * Fails with LOCAL_START_FAILED and PostgreSQL's own words.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const parent = path.dirname(path.resolve(options.dir));
  mkdirSync(parent, { recursive: true });
  const dir = path.join(realpathSync(parent), path.basename(options.dir));
  const durable = options.durable ?? true;
  const { initdb, postgres } = findPostgresBinaries();
  const account = chooseAccount([dir, postgres]);

  await endOrphanedPostmaster(dir);
  if (!clusterExists(dir)) createCluster({ initdb, account }, { dir, durable });
  const password = readFileSync(passwordFile(dir), 'utf8');
  const port = options.port || (await freePort());

  const [command = postgres, ...args] = [
    ...account.prefix,
    ...[postgres, '-D', dir, '-p', String(port)],
    ...settings(durable, options.maxConnections ?? 200),
  ];
  const child = spawn(command, args, {
    ...account.spawnAs,
    cwd: '/',
    env: { LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C at the terminal must reach us alone: the database goes last, when nobody uses it any more.
    detached: true,
  });
  const server = superviseChild(child, { name: 'PostgreSQL', stopSignal: 'SIGINT', onLog: options.onLog });
  tieToOurLife(server, 'INT');
  try {
    await server.line((line) => line.includes('ready to accept connections'), START_TIMEOUT_MS);
  } catch (cause) {
    await server.stop();
    throw startError('PostgreSQL', refusal(server.lastLines, port) ?? 'it did not start', cause);
  }
  const { pid, exited, kill, stop } = server;
  return {
    pid,
    exited,
    kill,
    stop,
    port,
    url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/postgres`,
  };
}

function settings(durable: boolean, maxConnections: number): string[] {
  const chosen = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    shared_buffers: '64MB',
    timezone: 'UTC',
    [LAUNCHER_SETTING]: process.pid,
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(chosen).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** PostgreSQL's reason, without time stamps; a taken port is the one that everybody meets. */
function refusal(lines: readonly string[], port: number): string | undefined {
  if (lines.some((line) => line.includes('Address already in use'))) {
    return `port ${port} is taken by another program`;
  }
  const fatal = lines.findLast((line) => /\b(FATAL|PANIC):/.test(line)) ?? lines.at(-1);
  return fatal?.replace(/^.*?\b(FATAL|PANIC):\s*/, '');
}
