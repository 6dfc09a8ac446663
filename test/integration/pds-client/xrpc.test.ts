import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { getRecommendedDidCredentials } from '../../../lib/pds/client/identity.ts';
import { callXrpc, type PdsConnection, type XrpcRequest } from '../../../lib/pds/xrpc.ts';
import { XrpcError } from '../../../lib/pds/xrpc-error.ts';

const NOW = new Date('2026-05-01T12:00:00Z');
const SECRET = 'the-password-of-the-member';
const answer = z.object({ ok: z.boolean() });

describe('an XRPC call', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  });

  async function pdsThat(listener: RequestListener): Promise<PdsConnection> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return connection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const connection = (endpoint: string): PdsConnection => ({
    fetch: globalThis.fetch,
    endpoint,
    timeoutMs: 400,
    now: () => NOW,
    rateLimitBypassKey: 'let-us-through',
  });
  const request: XrpcRequest<{ ok: boolean }> = {
    nsid: 'com.example.do',
    input: { password: SECRET },
    answer,
  };
  async function errorOf(pds: PdsConnection): Promise<XrpcError> {
    const error = await callXrpc(pds, request).catch((cause) => cause);
    if (!(error instanceof XrpcError)) throw new Error(`expected an XrpcError, got ${String(error)}`);
    return error;
  }

  it.each([
    'javascript:alert(1)',
    'ftp://pds.example.org',
    'https://user:pw@pds.example.org',
    'https://pds.example.org/path',
    'no url',
  ])('believes no PDS that it lives at %s: DID documents would say so', async (endpoint) => {
    const pds = await pdsThat((_, res) =>
      res.end(
        JSON.stringify({
          verificationMethods: { atproto: 'did:key:z' },
          services: { atproto_pds: { endpoint } },
        }),
      ),
    );
    await expect(getRecommendedDidCredentials(pds, 'token')).rejects.toMatchObject({ fault: 'malformed' });
  });

  it('sends a procedure as JSON with its authorization and the bypass header', async () => {
    const seen: Record<string, unknown> = {};
    const pds = await pdsThat(async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk);
      Object.assign(seen, {
        method: req.method,
        url: req.url,
        headers: req.headers,
        body: Buffer.concat(chunks).toString(),
      });
      res.end('{"ok":true,"more":"is dropped"}');
    });
    expect(await callXrpc(pds, { ...request, authorization: 'Bearer t' })).toEqual({ ok: true });
    expect(seen).toMatchObject({
      method: 'POST',
      url: '/xrpc/com.example.do',
      body: JSON.stringify({ password: SECRET }),
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer t',
        'x-ratelimit-bypass': 'let-us-through',
      },
    });
  });

  it('sends a query with its parameters encoded, and a procedure without input without a body', async () => {
    const seen: string[] = [];
    const pds = await pdsThat((req, res) => {
      seen.push(`${req.method} ${req.url} ${req.headers['content-length'] ?? 'none'}`);
      res.end('{"ok":true}');
    });
    await callXrpc(pds, { nsid: 'com.example.get', params: { did: 'did:web:a&b=c' }, answer });
    await callXrpc(pds, { nsid: 'com.example.act', input: null });
    expect(seen).toEqual([
      'GET /xrpc/com.example.get?did=did%3Aweb%3Aa%26b%3Dc none',
      'POST /xrpc/com.example.act 0',
    ]);
  });

  it.each([
    [400, '{"error":"InvalidInviteCode","message":"no"}', 'rejected', true],
    [401, '{"error":"AuthenticationRequired"}', 'rejected', true],
    [403, '<h1>Forbidden</h1>', 'malformed', false],
    [404, 'not here', 'malformed', false],
    [500, '{"error":"InternalServerError","message":"Internal Server Error"}', 'server_error', true],
    [500, '<h1>Oops</h1>', 'server_error', false],
    [502, '{"error":"UpstreamFailure"}', 'unavailable', false],
    [503, '', 'unavailable', false],
    [504, '<h1>Gateway Time-out</h1>', 'unavailable', false],
    [301, '', 'malformed', false],
    [200, '<h1>Welcome</h1>', 'malformed', false],
    [200, '{"ok": tr', 'malformed', false],
    [200, '{"ok":"yes"}', 'malformed', false],
    [200, '', 'malformed', false],
  ] as const)('reads %i %s as %s', async (status, body, fault, final) => {
    const pds = await pdsThat((_, res) =>
      res.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body),
    );
    const error = await errorOf(pds);
    expect({ fault: error.fault, status: error.status, final: error.final }).toEqual({
      fault,
      status,
      final,
    });
    expect(JSON.stringify(error) + error.message).not.toContain(SECRET);
  });

  it.each([
    [{ 'retry-after': '30' }, '2026-05-01T12:00:30.000Z'],
    [{ 'retry-after': 'Fri, 01 May 2026 12:01:00 GMT' }, '2026-05-01T12:01:00.000Z'],
    [{ 'ratelimit-reset': String(Date.parse('2026-05-01T12:02:00Z') / 1000) }, '2026-05-01T12:02:00.000Z'],
    [{}, '2026-05-01T12:05:00.000Z'],
    [{ 'retry-after': 'soon', 'ratelimit-reset': '-1' }, '2026-05-01T12:05:00.000Z'],
    [{ 'ratelimit-reset': '99999999999999' }, '2026-05-01T12:05:00.000Z'],
  ])('takes from a 429 with %j when to come back', async (headers, at) => {
    const pds = await pdsThat((_, res) => res.writeHead(429, headers).end('{"error":"RateLimitExceeded"}'));
    const error = await errorOf(pds);
    expect([error.fault, error.retryAt?.toISOString()]).toEqual(['throttled', at]);
  });

  it('reads no more than 512 KiB, and lets go of the rest', async () => {
    const closed = Promise.withResolvers<void>();
    const pds = await pdsThat((_, res) => {
      res.on('close', closed.resolve);
      const more = () => {
        while (res.write('x'.repeat(65_536)));
      };
      res.on('drain', more);
      more();
    });
    expect((await errorOf(pds)).fault).toBe('malformed');
    await closed.promise;
  });

  it('tells a PDS that is silent, one that stops in the middle, one that hangs up and one that is not there', async () => {
    const silent = await pdsThat(() => {});
    expect((await errorOf(silent)).fault).toBe('timeout');
    const stalls = await pdsThat((_, res) => void res.write('{"ok":'));
    expect((await errorOf(stalls)).fault).toBe('timeout');
    const hangsUp = await pdsThat((req) => req.socket.destroy());
    expect((await errorOf(hangsUp)).fault).toBe('interrupted');
    const breaksOff = await pdsThat((_, res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('{"ok":');
      res.socket?.destroySoon();
    });
    expect((await errorOf(breaksOff)).fault).toBe('interrupted');
    expect((await errorOf(connection(`http://localhost:${await deadPort()}`))).fault).toBe('unreachable');
    expect((await errorOf(connection('http://no-such-host.invalid'))).fault).toBe('unreachable');
  });
});

async function deadPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
