import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the PDS has answered, after it did its work. */
export type Truth = { status: number; body: string };
/** Writes what the caller gets to see instead. */
export type Lie = (response: ServerResponse, truth: Truth) => unknown;
/** Of whom it lies, in the answers to which method, and how often; by default once. */
type Liar = { name: string; method: string; lie: Lie; times?: number };

/** Stands before a PDS, lets it do everything, and lies about it: in real bytes, to one member and not to others. */
export async function startLyingProxy(target: string) {
  const liars: Required<Liar>[] = [];
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function pass(request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const sent = Buffer.concat(chunks).toString('utf8');
    const { authorization, 'content-type': type } = request.headers;
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { ...(authorization && { authorization }), ...(type && { 'content-type': type }) },
      ...(sent && { body: sent }),
    });
    const truth = { status: answer.status, body: await answer.text() };
    const liar = liars.find(
      ({ name, method, times }) =>
        times > 0 && request.url?.includes(`.${method}`) && whom(request, sent).includes(`did:web:${name}-`),
    );
    if (!liar)
      return response.writeHead(truth.status, { 'content-type': 'application/json' }).end(truth.body);
    liar.times -= 1;
    return liar.lie(response, truth);
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lieOf: (liar: Liar) => void liars.push({ times: 1, ...liar }),
    /** To whom it has not lied yet about this method: he has proven nothing. */
    untold: (asked: string) =>
      liars.filter(({ method, times }) => method === asked && times === 1).map(({ name }) => name),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Where the DID of the member stands: in what he sent, in the query, or in his token. */
function whom({ url = '', headers: { authorization = '' } }: IncomingMessage, sent: string): string {
  const claims = Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString('utf8');
  return [decodeURIComponent(url), sent, claims].join(' ');
}
