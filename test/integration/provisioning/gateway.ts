import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppError } from '../../../lib/app-error.ts';
import type { Queryable } from '../../../lib/db/connect.ts';
import { findIdentityByHost } from '../../../lib/identity/hostnames.ts';
import { serveAtprotoDid, serveDidJson } from '../../../lib/identity/serve.ts';

export type Gateway = {
  url: string;
  /** Whose rows it serves; one PDS outlives many databases. */
  serve(sql: Queryable | undefined): void;
  /** Holds back did.json, or atproto-did, for this long: what a slow edge does to a PDS. */
  delay(path: 'did.json' | 'atproto-did', ms: number): void;
  /** How many requests came, by path. */
  counts: Map<string, number>;
  close(): Promise<void>;
};

/** Answers for all members' hosts, straight from the real queries and documents of lib/identity. */
export async function startGateway(): Promise<Gateway> {
  let source: Queryable | undefined;
  const delays = new Map<string, number>();
  const counts = new Map<string, number>();
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '').replace('/.well-known/', '');
    counts.set(path, (counts.get(path) ?? 0) + 1);
    try {
      if (!source) throw new AppError('HOST_UNKNOWN', 'nobody is served', { status: 404 });
      const identity = await findIdentityByHost(source, request.headers.host);
      const wait = delays.get(path) ?? 0;
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const serve = path === 'did.json' ? serveDidJson : serveAtprotoDid;
      const { body, contentType, cacheControl } = serve(identity, new Date());
      response.writeHead(200, { 'content-type': contentType, 'cache-control': cacheControl }).end(body);
    } catch (error) {
      response.writeHead(error instanceof AppError ? error.status : 500).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    serve: (sql) => {
      source = sql;
    },
    delay: (path, ms) => void delays.set(path, ms),
    counts,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
