import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request that was passed on after its caller had given up. */
export type LateRequest = { lateMs: number; status: number };

/**
 * Stands in front of a server like a proxy with patience: a request to a slow path is held back until `lateMs` after
 * its caller has hung up, and is passed on all the same. Everything else goes through at once.
 */
export async function startLateProxy(options: {
  port: number;
  target: string;
  slowPath: string;
  lateMs: number;
}) {
  const late: LateRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse) {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const isSlow = incoming.url === options.slowPath;
    const hungUpAt = isSlow ? await hangUp(outgoing) : undefined;
    if (isSlow) await sleep(options.lateMs);
    const answer = await pass(incoming, Buffer.concat(chunks));
    if (hungUpAt !== undefined)
      late.push({ lateMs: performance.now() - hungUpAt, status: answer.statusCode ?? 0 });
    if (outgoing.destroyed) return void answer.resume();
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  }

  async function pass(
    { method, url = '/', headers }: IncomingMessage,
    body: Buffer,
  ): Promise<IncomingMessage> {
    const passed = request(new URL(url, options.target), { method, headers });
    passed.end(body);
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    return answer;
  }

  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  return {
    late,
    port: (server.address() as AddressInfo).port,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function hangUp(response: ServerResponse): Promise<number> {
  if (!response.destroyed) await once(response, 'close');
  return performance.now();
}
