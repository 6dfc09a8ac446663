import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../lib/app-error.ts';

const LEFTOVER_MS = 20;

/**
 * Makes this process the only platform on a data directory, which it makes if need be; returns what gives the directory
 * back. The lock is a socket, so it ends with the process, however that ends. Fails with ALREADY_RUNNING and the other's
 * process id, or with DATA_UNUSABLE when the directory is somebody else's.
 */
export async function lockDataDirectory(dataDir: string): Promise<() => Promise<void>> {
  makeUsable(dataDir);
  const address = addressOf(dataDir);
  const server = createServer((socket) => void socket.on('error', () => {}).end(String(process.pid)));
  for (;;) {
    server.listen(address);
    try {
      await once(server, 'listening');
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
      const pid = await askHolder(address);
      if (pid !== undefined) throw alreadyRunning(dataDir, pid);
      await removeLeftover(address);
    }
  }
  server.unref();
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

/** The process id of the platform that runs on this data directory, if one does. */
export async function runningPlatform(dataDir: string): Promise<number | undefined> {
  return existsSync(dataDir) ? askHolder(addressOf(dataDir)) : undefined;
}

function makeUsable(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const advice = 'run as the user who owns it, or choose another folder with --data FOLDER';
    throw new AppError('DATA_UNUSABLE', `${dataDir} cannot be used (${code}): ${advice}.`, { cause });
  }
}

function alreadyRunning(dataDir: string, pid: number): AppError {
  return new AppError(
    'ALREADY_RUNNING',
    `The platform already runs on ${dataDir} (process ${pid}): stop it first.`,
  );
}

async function askHolder(address: string): Promise<number | undefined> {
  const socket = connect(address);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    // A holder that dies while it is asked says nothing.
    return Number(Buffer.concat(chunks).toString()) || undefined;
  } catch {
    return undefined;
  }
}

/** Nobody answers there: a file is removed; a name without a file goes with its process, which is about to end. */
async function removeLeftover(address: string): Promise<void> {
  if (address.startsWith('\0')) await sleep(LEFTOVER_MS);
  else rmSync(address, { force: true });
}

/** Linux has socket names without files ("abstract"); elsewhere a file, which a crash leaves behind. */
function addressOf(dataDir: string): string {
  const hash = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 24);
  return process.platform === 'linux'
    ? `\0pds-platform-${hash}`
    : path.join(tmpdir(), `pds-platform-${hash}.sock`);
}
