import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startError } from './child.ts';

/** A setting that PostgreSQL ignores; it shows on the command line which process started the server. */
export const LAUNCHER_SETTING = 'local.launcher_pid';

/**
 * Clears the way for a server on `dir`. A postmaster that lost the process which had started it is ended; one whose
 * starter lives is somebody's running platform, and an error. A pid file whose number now belongs to another program
 * is removed, because PostgreSQL itself would take any living process of its account for a postmaster.
 */
export async function endOrphanedPostmaster(dir: string): Promise<void> {
  const pidFile = path.join(dir, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
  const found = describeProcess(pid);
  if (!found) return;
  if (!isPostmasterOf(found.args, dir)) {
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
    } catch {
      return; // It went by itself.
    }
    const patience = Date.now() + 3_000;
    while (Date.now() < patience) {
      if (!describeProcess(pid)) return;
      await sleep(20);
    }
  }
  throw startError('PostgreSQL', `process ${pid}, named in ${pidFile}, does not end; end it by hand`);
}

function isPostmasterOf(args: string[], dir: string): boolean {
  const line = args.join(' ');
  return path.basename(args[0]?.split(' ')[0] ?? '') === 'postgres' && line.includes(` -D ${dir} `);
}

/** Command line and parent of a living process (a zombie counts as gone); undefined when there is none. */
function describeProcess(pid: number): { args: string[]; parent: number } | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    if (process.platform === 'linux') {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' ? undefined : { args, parent: Number(parent) };
    }
    const line = execFileSync('ps', ['-ww', '-o', 'ppid=,args=', '-p', String(pid)], {
      encoding: 'utf8',
    }).trim();
    const [parent = '', ...args] = line.split(/\s+/);
    return { args, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
