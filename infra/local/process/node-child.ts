import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { enableCompileCache, flushCompileCache } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Child, type OnLog, startError, superviseChild, tieToOurLife } from './child.ts';

/** What the child says once it listens, or why it does not. */
type Answer = { listening: number } | { failed: string };

type NodeChild = {
  /** For error messages, e.g. `PDS`. */
  name: string;
  /** The module that the process runs; it calls {@link serveAsChild}. */
  entry: URL;
  /** Sent over the IPC channel, so that secrets are neither on the command line nor in the environment. */
  input: unknown;
  /** Where it writes. Stands on its command line, by which awaitLeftovers finds it. */
  directory?: string;
  env?: Record<string, string>;
  /** A module that is loaded before `entry`. */
  preload?: URL | undefined;
  onLog?: OnLog | undefined;
};

const START_TIMEOUT_MS = 60_000;

/** Starts a server in a Node process of its own and resolves with its port when it listens. */
export async function startNodeChild(options: NodeChild): Promise<Child & { port: number }> {
  const { name, entry, input, directory, env, preload, onLog } = options;
  const process = fork(entry, directory ? [directory] : [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { NODE_ENV: 'production', TZ: 'UTC', ...env },
    execArgv: ['--disable-warning=ExperimentalWarning', ...(preload ? ['--import', preload.href] : [])],
    // Ctrl-C at the terminal must reach only us: we stop the parts in their order.
    detached: true,
  });
  const child = superviseChild(process, { name, onLog });
  tieToOurLife(child, 'TERM');
  const answered = once(process, 'message', { signal: AbortSignal.timeout(START_TIMEOUT_MS) }) as Promise<
    [Answer]
  >;
  process.send({ input }, () => {});
  try {
    const [answer] = await Promise.race([
      answered,
      child.exited.then((sentence) =>
        Promise.reject(startError(name, `${sentence} ${child.lastLines.at(-1) ?? ''}`)),
      ),
    ]);
    if ('failed' in answer) throw startError(name, answer.failed);
    const { pid, exited, kill, stop } = child;
    return { pid, exited, kill, stop, port: answer.listening };
  } catch (error) {
    child.kill('SIGKILL');
    await child.exited;
    throw error;
  }
}

/**
 * The child's side: takes the input, starts the server, says so, stops it on SIGTERM, and exits when the process
 * that started it is gone.
 */
export function serveAsChild<Input>(
  start: (input: Input) => Promise<{ server: Server; stop: () => Promise<void> }>,
): void {
  // A PDS is some 2,000 modules: keeping their compiled code saves a third of its start.
  enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url)));
  process.once('disconnect', () => process.exit());
  process.once('message', async ({ input }: { input: Input }) => {
    try {
      const { server, stop } = await start(input);
      process.once('SIGTERM', () => stop().finally(() => process.exit()));
      process.send?.({ listening: (server.address() as AddressInfo).port } satisfies Answer);
      flushCompileCache();
    } catch (error) {
      process.send?.({ failed: reason(error) } satisfies Answer, () => process.exit(1));
    }
  });
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE' && 'port' in error) {
    return `port ${error.port} is taken by another program`;
  }
  return error.message;
}

/** Makes an Express application's own `app.listen(port)` bind the loopback address instead of every one. */
export function onLoopbackOnly(app: { listen: (...args: never[]) => Server }): void {
  const listen = app.listen.bind(app) as (port: number, host: string) => Server;
  app.listen = (port: number) => listen(port, '127.0.0.1');
}
