import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands in for our edge in tests of what asks it: answers the well-known paths that a test puts in, by Host. */
export async function startMemberGateway() {
  const documents = new Map<string, string>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = `${request.headers.host}${request.url}`;
    asked.push(name);
    const body = documents.get(name);
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    serveDidDocument: (host: string, document: object) =>
      documents.set(`${host}/.well-known/did.json`, JSON.stringify(document)),
    serveHandle: (handle: string, did: string) => documents.set(`${handle}/.well-known/atproto-did`, did),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
