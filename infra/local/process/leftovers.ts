import { realpathSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../lib/app-error.ts';
import { listProcesses } from './process-table.ts';

/** What the platform's processes are; whoever just looks at a file with another program does not count. */
const PROGRAMS = new Set(['node', 'initdb', 'postgres']);
const PATIENCE_MS = 15_000;
const LOOK_AGAIN_MS = 20;
/** The command that was given the folder, and the npm that runs it. */
const US = new Set([process.pid, process.ppid]);

/**
 * Waits for the processes of a platform that was killed: they end by themselves a moment after it, and until then may
 * write. Each that writes into the data directory names a path in it on its command line. Fails with DATA_IN_USE and the
 * id of a process that stays.
 */
export async function awaitLeftovers(dataDir: string, { patienceMs = PATIENCE_MS } = {}): Promise<void> {
  const directories = [dataDir, realpathSync(dataDir)];
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const [leftover] = listProcesses().filter(({ pid, args }) => !US.has(pid) && worksIn(directories, args));
    if (!leftover) return;
    if (Date.now() > deadline) {
      const message = `Process ${leftover.pid} still works in ${dataDir}; end it, then try again.`;
      throw new AppError('DATA_IN_USE', message);
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

function worksIn(directories: readonly string[], [program = '', ...args]: string[]): boolean {
  const line = args.join(' ');
  return (
    PROGRAMS.has(path.basename(program)) && directories.some((dir) => line.includes(`${dir}${path.sep}`))
  );
}
