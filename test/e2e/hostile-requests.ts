import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'vitest';
import type { Contract } from '../../lib/http/contract.ts';
import { ERROR_CODES, isErrorCode } from '../../lib/http/error-codes.ts';
import { expectDocumented } from './documented.ts';
import { credentialsFor, type Rightful, rightPath } from './rightful.ts';

type Hostile = {
  host?: string;
  query?: string;
  /** Lines of the head, as they go over the wire. */
  lines?: readonly string[];
  body?: string;
};

/** What each is refused with: a code of ours, or a status of API Gateway's own. */
const HEADS: Readonly<Record<string, [sent: Hostile, refusal: string | number]>> = {
  'a cookie larger than all headers may be': [{ lines: [`cookie: a=${'x'.repeat(11_000)}`] }, 431],
  'a header with a line break in it': [{ lines: ['x-a: b\rset-cookie: planted=1'] }, 400],
  'a header with a NUL in it': [{ lines: ['user-agent: a\0b'] }, 400],
  'a header without a name': [{ lines: [': b'] }, 400],
  'half a percent-encoding': [{ query: 'a=%E0%A4' }, 400],
  'the host of somebody else': [{ host: 'evil.example' }, 'NOT_FOUND'],
  'the host of somebody else and what an edge would say': [
    {
      host: 'evil.example',
      lines: ['x-pds-host: localhost', 'x-origin-secret: x', 'x-forwarded-host: localhost'],
    },
    'NOT_FOUND',
  ],
  'a host with a name before it': [{ host: 'evil.example@localhost' }, 'NOT_FOUND'],
};

/** The same of routes that change something. */
const BODIES: Readonly<Record<string, Hostile>> = {
  'JSON 8,000 deep': { body: `{"a":${'['.repeat(8_000)}${']'.repeat(8_000)}}` },
  'a NUL in the text': { body: '{"a":"b\0"}' },
  'a NUL, escaped': { body: '{"a\\u0000":"\\u0000"}' },
  'half a surrogate pair': { body: '{"\\ud800":"\\udfff"}' },
  'the names of prototypes': { body: '{"__proto__":{"role":"admin"},"constructor":{"prototype":{}}}' },
  'numbers beyond all bounds': { body: '{"a":1e999,"b":-0}' },
  'a megabyte': { body: `{"a":"${'x'.repeat(1024 * 1024)}"}` },
};
const TOO_LARGE: Hostile = { body: 'x'.repeat(10 * 1024 * 1024 + 1) };

/** Sends a route everything hostile, over the wire and byte by byte, and expects each to be refused with a code. */
export async function expectHostileRequestsRefused(rightful: Rightful, contract: Contract): Promise<void> {
  for (const [name, [hostile, refusal]] of Object.entries(HEADS)) {
    const answer = await send(rightful, contract, hostile);
    expect([name, answer.code]).toEqual([name, refusal]);
  }
  // A line break that is none before it is decoded: whatever is answered, it stays in its place.
  const split = await send(rightful, contract, { query: 'a=%0d%0aset-cookie:%20planted=1', body: '[' });
  expect([split.status < 500, split.head.toLowerCase().includes('planted')]).toEqual([true, false]);
  if (contract.method === 'GET') return;
  for (const [name, hostile] of Object.entries(BODIES)) {
    const { code } = await send(rightful, contract, hostile);
    expect([name, ['BODY_INVALID', 'INPUT_INVALID', 'BODY_UNEXPECTED'].includes(String(code))]).toEqual([
      name,
      true,
    ]);
  }
  expect((await send(rightful, contract, TOO_LARGE)).code).toBe(413);
}

type Refusal = { status: number; code: string | number; head: string };

async function send(rightful: Rightful, contract: Contract, hostile: Hostile): Promise<Refusal> {
  const { method } = contract;
  const { port } = new URL(rightful.running.platform.url);
  const { host = `localhost:${port}`, query, lines = [], body = '' } = hostile;
  const path = rightPath(contract);
  const credentials = Object.entries(credentialsFor(rightful, contract, path, body));
  const head = [
    `${method} ${path}${query ? `?${query}` : ''} HTTP/1.1`,
    `host: ${host}`,
    'connection: close',
    ...credentials.map(([name, value]) => `${name}: ${value}`),
    ...(body ? ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`] : []),
    ...lines,
  ];
  const text = await overTheWire(Number(port), `${head.join('\r\n')}\r\n\r\n${body}`);
  return readRefusal(method, path, text);
}

async function overTheWire(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  return (await socket.toArray()).join('');
}

function readRefusal(method: string, path: string, text: string): Refusal {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  const contentType = /^content-type: (.*)$/im.exec(head)?.[1];
  expectDocumented(method, path, { status, contentType, text: body });
  const { error } = body.startsWith('{') ? JSON.parse(body) : { error: undefined };
  if (error && isErrorCode(error.code))
    expect(ERROR_CODES[error.code as keyof typeof ERROR_CODES].status).toBe(status);
  return { status, code: error?.code ?? status, head };
}
