import dns from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DidResolver, HandleResolver } from '@atproto/identity';
import { afterEach, describe, expect, it } from 'vitest';
import { memberHostFetch, reachMemberHosts } from '../../../infra/local/atproto/member-fetch.ts';
import { startMemberGateway } from './member-gateway.ts';

const domain = 'pnptv.test';
const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

async function startGateway(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const elsewhere: typeof fetch = async (input) => new Response(`elsewhere: ${String(input)}`);

describe('memberHostFetch', () => {
  it('sends a member host to the gateway with its name in the Host header, path and query as they were', async () => {
    const gatewayUrl = await startGateway((request, response) =>
      response.end(`${request.headers.host}${request.url}`),
    );
    const fetch = memberHostFetch({ domain, gatewayUrl, fetch: elsewhere });
    const response = await fetch('https://alice.pnptv.test/.well-known/did.json?a=%20b');
    expect(await response.text()).toBe('alice.pnptv.test/.well-known/did.json?a=%20b');
    expect(response.url).toBe('https://alice.pnptv.test/.well-known/did.json?a=%20b');
  });

  it('leaves every other host to the given fetch, also one that only ends like ours', async () => {
    const fetch = memberHostFetch({ domain, gatewayUrl: 'http://127.0.0.1:1', fetch: elsewhere });
    for (const url of [
      'https://example.org/',
      'https://evilpnptv.test/',
      'https://pnptv.test.example.org/',
    ]) {
      expect(await (await fetch(url)).text()).toBe(`elsewhere: ${url}`);
    }
  });

  it('hands method, headers and body over, and status, headers and body back', async () => {
    const gatewayUrl = await startGateway(async (request, response) => {
      const body = (await request.toArray()).join('');
      response
        .writeHead(418, { 'x-seen': `${request.method} ${request.headers.accept} ${body}` })
        .end('short');
    });
    const fetch = memberHostFetch({ domain, gatewayUrl, fetch: elsewhere });
    const request = new Request('https://a.pnptv.test/', {
      method: 'POST',
      body: 'hello',
      headers: { accept: 'x/y' },
    });
    const response = await fetch(request);
    expect([response.status, response.headers.get('x-seen'), await response.text()]).toEqual([
      418,
      'POST x/y hello',
      'short',
    ]);
  });

  it('answers a status that has no body', async () => {
    const gatewayUrl = await startGateway((_request, response) => response.writeHead(204).end());
    const response = await memberHostFetch({ domain, gatewayUrl, fetch: elsewhere })('https://a.pnptv.test/');
    expect([response.status, await response.text()]).toEqual([204, '']);
  });

  it('gives up when its caller does, before and during the answer', async () => {
    const gatewayUrl = await startGateway((request, response) => {
      if (request.url === '/half') response.write('half');
    });
    const fetch = memberHostFetch({ domain, gatewayUrl, fetch: elsewhere });
    await expect(fetch('https://a.pnptv.test/never', { signal: AbortSignal.timeout(50) })).rejects.toThrow();
    const half = await fetch('https://a.pnptv.test/half', { signal: AbortSignal.timeout(100) });
    await expect(half.text()).rejects.toThrow();
  });

  it('fails when nobody answers, and follows no redirect', async () => {
    const nobody = memberHostFetch({ domain, gatewayUrl: 'http://127.0.0.1:1', fetch: elsewhere });
    await expect(nobody('https://a.pnptv.test/')).rejects.toThrow('ECONNREFUSED');
    const gatewayUrl = await startGateway((_request, response) =>
      response.writeHead(302, { location: 'https://example.org/' }).end(),
    );
    const fetch = memberHostFetch({ domain, gatewayUrl, fetch: elsewhere });
    await expect(fetch('https://a.pnptv.test/')).rejects.toThrow('redirects');
  });
});

describe('reachMemberHosts', () => {
  it('lets the reference resolvers find a handle and a did:web that no DNS knows', async () => {
    const gateway = await startMemberGateway();
    cleanUps.push(gateway.stop, reachMemberHosts({ domain, gatewayUrl: gateway.url }));
    const did = 'did:web:alice-a1b2c3.pnptv.test';
    gateway.serveHandle('alice.pnptv.test', did);
    gateway.serveDidDocument('alice-a1b2c3.pnptv.test', { id: did });
    // Given a fetch, the resolvers leave their own protection out, which refuses what is not on the public Internet.
    const { fetch } = globalThis;
    expect(await new HandleResolver({ fetch }).resolve('alice.pnptv.test')).toBe(did);
    expect(await new DidResolver({ fetch }).resolve(did)).toEqual({ id: did });
    expect(await new HandleResolver({ fetch }).resolve('bob.pnptv.test')).toBeUndefined();
  });

  it('answers TXT look-ups under the domain without asking a resolver, and can be undone', async () => {
    const { fetch } = globalThis;
    const { resolveTxt } = dns;
    const undo = reachMemberHosts({ domain, gatewayUrl: 'http://127.0.0.1:1' });
    cleanUps.push(undo);
    await expect(dns.resolveTxt('_atproto.alice.pnptv.test')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    undo();
    expect([globalThis.fetch, dns.resolveTxt]).toEqual([fetch, resolveTxt]);
  });
});
