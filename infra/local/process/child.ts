import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { AppError } from '../../../lib/app-error.ts';

/** Gets each line that a child prints, without its line break. */
export type OnLog = (line: string) => void;

/** A process that we started and that we end. */
export type Child = {
  pid: number;
  /** One sentence, once the process is gone, whoever ended it. Never rejects. */
  exited: Promise<string>;
  /** Sends a signal at once, e.g. SIGKILL, or SIGSTOP and SIGCONT for a server that hangs for a while. */
  kill(signal: NodeJS.Signals): void;
  /** Asks politely, then with SIGKILL after a grace time; resolves when the process is gone. Repeatable. */
  stop(): Promise<void>;
};

/** What the starter of a child sees of it, until the child is up. */
export type SupervisedChild = Child & {
  /** The last lines that it printed, for an error message. */
  lastLines: readonly string[];
  /** Resolves with the first line that `matches`; rejects with the child's end, or after `timeoutMs`. */
  line(matches: (line: string) => boolean, timeoutMs: number): Promise<string>;
};

type Supervision = { name: string; stopSignal?: NodeJS.Signals; graceMs?: number; onLog?: OnLog };

const REMEMBERED_LINES = 40;

/** The error for a part of the local platform that did not come up: one sentence in the part's own words. */
export function startError(part: string, message: string, cause?: unknown): AppError {
  return new AppError('LOCAL_START_FAILED', `${part}: ${message}`, { cause });
}

/** Watches over a process just spawned: its lines, its end, and the ways to end it. */
export function superviseChild(child: ChildProcess, options: Supervision): SupervisedChild {
  const { name, stopSignal = 'SIGTERM', graceMs = 10_000, onLog } = options;
  const lastLines: string[] = [];
  const listeners = new Set<OnLog>(onLog ? [onLog] : []);
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > REMEMBERED_LINES) lastLines.shift();
      for (const listen of listeners) listen(line);
    });
  }

  let gone = false;
  const exited = new Promise<string>((resolve) => {
    const end = (sentence: string) => {
      gone = true;
      resolve(sentence);
    };
    child.once('error', (error) => end(`${name} could not be started: ${error.message}.`));
    // 'close' comes after the last line was read, 'exit' before it.
    child.once('close', (code, signal) =>
      end(`${name} ended with ${signal ? `signal ${signal}` : `exit code ${code}`}.`),
    );
  });

  return {
    pid: child.pid ?? 0,
    exited,
    lastLines,
    line(matches, timeoutMs) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const listen = (line: string) => matches(line) && resolve(line);
      const timer = setTimeout(
        () => reject(startError(name, `not up after ${timeoutMs / 1000} s`)),
        timeoutMs,
      );
      listeners.add(listen);
      exited.then((sentence) => reject(startError(name, sentence)));
      return promise.finally(() => {
        clearTimeout(timer);
        listeners.delete(listen);
      });
    },
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (gone) return;
      child.kill(stopSignal);
      // A process that sleeps (SIGSTOP) hears the polite signal only when it wakes up.
      child.kill('SIGCONT');
      const hammer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(hammer);
    },
  };
}

/**
 * Ties a child that cannot watch over us itself to our life: a shell waits for the end of a pipe that only we hold
 * open (so SIGKILL counts too) and then sends the signal, and wakes the child in case that it was stopped.
 */
export function tieToOurLife(child: Child, signal: 'INT' | 'TERM'): void {
  const watchdog = spawn(
    '/bin/sh',
    ['-c', `read -r _; kill -s ${signal} "$1"; kill -s CONT "$1"`, 'watchdog', String(child.pid)],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      detached: true,
    },
  );
  watchdog.on('error', () => {}); // Without a shell the next start still cleans up.
  watchdog.unref();
  child.exited.then(() => watchdog.kill('SIGKILL'));
}
