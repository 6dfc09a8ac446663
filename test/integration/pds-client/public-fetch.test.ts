import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeServer } from '../../../lib/pds/client/server.ts';
import { isPublicAddress } from '../../../lib/pds/public-address.ts';
import { type LookUp, publicFetch } from '../../../lib/pds/public-fetch.ts';
import { isTarget } from '../../../lib/pds/strangers.ts';
import { selfSigned } from '../../setup/self-signed.ts';

const HOST = 'pds.elsewhere.example';
const { key, cert } = selfSigned(HOST);

let answer: (request: IncomingMessage, response: ServerResponse) => unknown;
let asked: string[] = [];
const server = createServer({ key, cert }, (request, response) => {
  asked.push(`${request.method} ${request.headers.host} ${request.url}`);
  answer(request, response);
});
let url: string;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://${HOST}:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked = [];
  answer = (_, response) => response.end('{"did": "did:web:x", "availableUserDomains": []}');
});

/** DNS that says this of every name; `then` what it says from the second time on. */
const dns =
  (...answers: string[][]): LookUp =>
  (_, __, callback) => {
    const addresses = answers.length > 1 ? (answers.shift() ?? []) : (answers[0] ?? []);
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
/** For whom this machine is the public internet. */
const here = (lookUp: LookUp) =>
  publicFetch({ lookUp, ca: cert, isAllowed: (address) => address === '127.0.0.1' });
const ask = (fetch: typeof globalThis.fetch, timeoutMs = 5_000) =>
  describeServer({ fetch, endpoint: url, timeoutMs, now: () => new Date() });

describe('the address of a stranger', () => {
  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.255.255', '192.168.1.1'],
    ...['192.0.0.192', '198.18.0.1', '203.0.113.9', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1'],
    ...['fc00::1', 'fd00:ec2::254', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::a00:1', '2002:a00:1::'],
    ...['2001:db8::1', '2001::1', 'ff02::1', 'localhost', ''],
  ])('%s is none of the public internet', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])(
    '%s is one',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it.each([
    ...[
      'http://pds.example',
      'https://localhost',
      'https://127.0.0.1',
      'https://[::1]',
      'https://2130706433',
    ],
    ...['https://0x7f.1', 'https://pds.example/', 'https://pds.example/x', 'https://a@pds.example'],
    ...[
      'https://PDS.example',
      'https://pds.example.',
      'ftp://pds.example',
      'pds.example',
      'https://pds.example:443',
    ],
  ])('as in %s makes no endpoint', (endpoint) => {
    expect(isTarget({ privateAllowed: false }, endpoint)).toBe(false);
  });

  it('is a domain name over TLS, or on one machine anything', () => {
    expect(isTarget({ privateAllowed: false }, 'https://pds.example')).toBe(true);
    expect(isTarget({ privateAllowed: false }, 'https://pds.example:8443')).toBe(true);
    expect(isTarget({ privateAllowed: true }, 'http://localhost:3002')).toBe(true);
  });
});

describe('a stranger', () => {
  it('is asked over TLS by the name that he has, and sent what is to be sent', async () => {
    expect(await ask(here(dns(['127.0.0.1'])))).toMatchObject({ did: 'did:web:x' });
    let body = '';
    answer = async (request, response) => {
      for await (const chunk of request) body += chunk;
      response.writeHead(204).end();
    };
    const sent = await here(dns(['127.0.0.1']))(`${url}/x`, { method: 'POST', body: '{"a": 1}' });
    expect([sent.status, body, asked[1]]).toEqual([204, '{"a": 1}', `POST ${new URL(url).host} /x`]);
  });

  it.each([
    ['in a private network', ['127.0.0.1']],
    ['there as well', ['127.0.0.1', '8.8.8.8']],
  ])('who lies %s is not connected to', async (_, answers) => {
    const fetch = publicFetch({ lookUp: dns(answers), ca: cert });
    await expect(ask(fetch)).rejects.toMatchObject({ fault: 'unreachable' });
    expect(asked).toEqual([]);
  });

  it('who lies there a moment later is connected to where he lay when he was looked at', async () => {
    const lookUp = dns(['127.0.0.2'], ['127.0.0.1']);
    const fetch = publicFetch({ lookUp, ca: cert, isAllowed: (address) => address === '127.0.0.2' });
    await expect(ask(fetch)).rejects.toMatchObject({ fault: 'unreachable' });
    expect(asked).toEqual([]);
  });

  it.each([
    'http://127.0.0.1:1',
    'https://127.0.0.1:1',
    'https://[::1]:1',
    'http://pds.example',
    'file:///etc/passwd',
  ])('at %s is not asked', async (endpoint) => {
    await expect(publicFetch()(endpoint)).rejects.toThrow('fetch failed');
  });

  it.each<[string, string, typeof answer]>([
    [
      'redirects',
      'malformed',
      (_, response) => response.writeHead(302, { location: 'https://127.0.0.1/' }).end(),
    ],
    ['shows HTML', 'malformed', (_, response) => response.end('<h1>Welcome</h1>')],
    ['talks without end', 'malformed', (_, response) => void response.end('x'.repeat(600 * 1024))],
    ['says nothing', 'timeout', () => {}],
    ['stops halfway', 'timeout', (_, response) => void response.write('{"did":')],
    ['hangs up', 'interrupted', (request) => request.socket.destroy()],
  ])('who %s has not answered: %s', async (_, fault, how) => {
    answer = how;
    await expect(ask(here(dns(['127.0.0.1'])), 500)).rejects.toMatchObject({ fault });
    expect(asked).toHaveLength(1);
  });

  it('who has no certificate for his name is not believed', async () => {
    const other = publicFetch({ lookUp: dns(['127.0.0.1']), isAllowed: () => true });
    await expect(ask(other)).rejects.toMatchObject({ fault: 'interrupted' });
    expect(asked).toEqual([]);
  });
});
