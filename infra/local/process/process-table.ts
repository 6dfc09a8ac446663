import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Command line and parent of a living process; undefined when there is none. A zombie counts as gone: in a container
 * without an init process, orphans are reaped late or never.
 */
export function findProcess(pid: number): { args: string[]; parent: number } | undefined {
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

/** Every living process with its command line. */
export function listProcesses(): { pid: number; args: string[] }[] {
  if (process.platform === 'linux') {
    return readdirSync('/proc').flatMap((name) => {
      const found = findProcess(Number(name));
      return found ? [{ pid: Number(name), args: found.args }] : [];
    });
  }
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=,args='], { encoding: 'utf8' }).trim().split('\n');
  return lines.map((line) => {
    const [pid, ...args] = line.trim().split(/\s+/);
    return { pid: Number(pid), args };
  });
}
