import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../lib/app-error.ts';

const LOOK_AGAIN_MS = 50;

/** Fails with PORT_TAKEN when somebody listens on this loopback port, and still does after `patienceMs`. */
export async function checkPort(port: number, { patienceMs = 0 } = {}): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
      return;
    } catch (cause) {
      if (performance.now() >= deadline) {
        throw new AppError('PORT_TAKEN', `Port ${port} is taken by another program.`, { cause });
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }
}
