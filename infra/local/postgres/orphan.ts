import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startError } from '../process/child.ts';
import { findProcess } from '../process/process-table.ts';

/** A setting that PostgreSQL ignores; it shows on the command line which process started the server. */
export const LAUNCHER_SETTING = 'local.launcher_pid';

/**
 * Clears the way for a server on `dir`. A postmaster that lost the process which had started it is ended; one whose
 * starter lives is somebody's running platform, and an error. A stale pid file is removed, because PostgreSQL itself
 * takes any process of its account with that number for a postmaster, a stranger or a zombie too.
 */
export async function endOrphanedPostmaster(dir: string): Promise<void> {
  const pidFile = path.join(dir, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
  const found = findProcess(pid);
  if (!found || !isPostmasterOf(found.args, dir)) {
    rmSync(pidFile, { force: true });
    return;
  }
  if (found.args.includes(`${LAUNCHER_SETTING}=${found.parent}`)) {
    throw startError(
      'PostgreSQL',
      `${dir} is in use by another run of this project (process ${found.parent}); stop that one first`,
    );
  }
  await end(pid, pidFile);
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one (the next start replays the log). */
async function end(pid: number, pidFile: string): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
      process.kill(pid, 'SIGCONT');
    } catch {
      return; // It went by itself.
    }
    const patience = Date.now() + 3_000;
    while (Date.now() < patience) {
      if (!findProcess(pid)) return;
      await sleep(20);
    }
  }
  throw startError('PostgreSQL', `process ${pid}, named in ${pidFile}, does not end; end it by hand`);
}

function isPostmasterOf(args: string[], dir: string): boolean {
  const line = args.join(' ');
  return path.basename(args[0]?.split(' ')[0] ?? '') === 'postgres' && line.includes(` -D ${dir} `);
}
