import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { transfer } from '../../../lib/pds/repo-transfer.ts';

const MB = 1024 * 1024;
const servers: Server[] = [];
async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** So many MB, as fast as they are taken. */
const megabytes =
  (many: number, breakOff = false): RequestListener =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'image/png' });
    const chunks = Readable.from(Array.from({ length: many * 4 }, () => Buffer.alloc(MB / 4, 7)));
    chunks.on('end', () => (breakOff ? response.destroy() : response.end()));
    chunks.pipe(response, { end: false });
  };
const received = { bytes: 0, type: '' };
const takeAll: RequestListener = async (request, response) => {
  received.bytes = 0;
  received.type = request.headers['content-type'] ?? '';
  try {
    for await (const chunk of request) received.bytes += chunk.length;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  } catch {
    response.destroy();
  }
};
const refuse =
  (status: number): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end('{"error":"TooMuch","message":"no room"}');
const full: RequestListener = async (request, response) => {
  for await (const _ of request);
  refuse(507)(request, response);
};
const never: RequestListener = () => {};

async function carry(source: RequestListener, target: RequestListener, limits = {}) {
  const pds = async (listener: RequestListener) => ({
    fetch,
    endpoint: await serve(listener),
    timeoutMs: 1000,
    now: () => new Date(),
  });
  return transfer(
    { pds: await pds(source), nsid: 'test.get', params: { did: 'did:web:a' }, authorization: 'Bearer a' },
    {
      pds: await pds(target),
      nsid: 'test.put',
      authorization: 'Bearer b',
      answer: z.object({ ok: z.literal(true) }),
    },
    { timeoutMs: 20_000, mostBytes: 1024 * MB, ...limits },
  );
}

it('carries what is longer than memory should hold: no more is on its way than the other end takes', async () => {
  let sent = 0;
  let stalled = 0;
  const source: RequestListener = async (_request, response) => {
    response.writeHead(200, { 'content-type': 'image/png' });
    for (; sent < 100 * MB; sent += MB / 4) {
      if (!response.write(Buffer.alloc(MB / 4))) await once(response, 'drain');
    }
    response.end();
  };
  const target: RequestListener = async (request, response) => {
    await sleep(500);
    stalled = sent;
    await takeAll(request, response);
  };
  expect(await carry(source, target)).toEqual({ ok: true });
  expect(received).toEqual({ bytes: 100 * MB, type: 'image/png' });
  expect(stalled).toBeLessThan(25 * MB);
});

it.each([
  ['that has no room', megabytes(1), full, { nsid: 'test.put', fault: 'server_error', status: 507 }],
  ['that does not even read it', megabytes(50), refuse(413), { nsid: 'test.put' }],
  ['that is refused', refuse(400), takeAll, { nsid: 'test.get', fault: 'rejected', error: 'TooMuch' }],
  ['that breaks off', megabytes(2, true), takeAll, { nsid: 'test.get', fault: 'interrupted' }],
] as const)('says which end was at fault: one %s', async (_what, source, target, fault) => {
  await expect(carry(source, target)).rejects.toMatchObject({ name: 'XrpcError', ...fault });
});

it('gives up what is too long, and one who does not go on, at whichever end', async () => {
  await expect(carry(megabytes(3), takeAll, { mostBytes: 2 * MB })).rejects.toMatchObject({
    nsid: 'test.get',
    fault: 'malformed',
  });
  await expect(carry(megabytes(50), never, { timeoutMs: 3000 })).rejects.toMatchObject({
    nsid: 'test.put',
    fault: 'timeout',
  });
  await expect(carry(never, takeAll, { timeoutMs: 500 })).rejects.toMatchObject({
    nsid: 'test.get',
    fault: 'timeout',
  });
  const stalls: RequestListener = async (_request, response) => {
    response.writeHead(200).write('a');
    await sleep(5000);
  };
  await expect(carry(stalls, takeAll, { timeoutMs: 500 })).rejects.toMatchObject({
    nsid: 'test.get',
    fault: 'timeout',
  });
});
