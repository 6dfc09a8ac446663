import { once } from 'node:events';
import { createServer } from 'node:net';
import { AppError } from '../../lib/app-error.ts';

/** Fails with PORT_TAKEN when somebody listens on this loopback port. */
export async function checkPort(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new AppError('PORT_TAKEN', `Port ${port} is taken by another program.`, { cause });
  }
  server.close();
  await once(server, 'close');
}
