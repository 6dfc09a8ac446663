import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startError } from '../process/child.ts';

export type ListeningServer = { url: string; port: number; stop(): Promise<void> };

/** Lets a server listen on 127.0.0.1; 0 is a free port. `name` stands in the error of a port that cannot be had. */
export async function listen(
  server: Server,
  { name, port = 0 }: { name: string; port?: number },
): Promise<ListeningServer> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening').catch((cause) => {
    throw startError(name, `cannot listen on port ${port} (${cause.code})`, cause);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    async stop() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The whole body; throws what `tooLarge` makes, and reads no further, beyond `limit` bytes. */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  tooLarge: () => Error,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
