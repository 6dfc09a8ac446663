import type { Lie, Truth } from './lying-proxy.ts';

const json = { 'content-type': 'application/json' };
const TEN_MB = 10 * 1024 * 1024;

/** Answers that no PDS gives, whatever was asked. */
export const NONSENSE: Record<string, Lie> = {
  html: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
  'half-json': (response, { body }) =>
    response.writeHead(200, json).end(body.slice(0, body.length / 2) || '{'),
  'ten-mb': (response) => response.writeHead(200, json).end(`{"a":"${'x'.repeat(TEN_MB)}"}`),
  redirect: (response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
  'wrong-shape': (response) => response.writeHead(200, json).end('["yes"]'),
  endless(response) {
    response.writeHead(200, json).write('{');
    const drip = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(drip));
  },
  'too-short': (response, { body }) => {
    response.writeHead(200, { ...json, 'content-length': String(body.length + 100) }).write(body);
    setTimeout(() => response.destroy(), 100);
  },
  'too-long': (response, { body }) => {
    response.socket?.end(
      `HTTP/1.1 200 OK\r\ncontent-length: ${Math.max(1, body.length - 20)}\r\n\r\n{${body}`,
    );
  },
};

/** The truth with some of its fields replaced. */
export function but(changes: (truth: Record<string, unknown>) => object): Lie {
  return (response, { status, body }: Truth) => {
    const truth = JSON.parse(body);
    response.writeHead(status, json).end(JSON.stringify({ ...truth, ...changes(truth) }));
  };
}

/** A token as a PDS writes it, signed by nobody. */
export function token(claims: { sub: string; exp: number }): string {
  return [{ typ: 'at+jwt', alg: 'HS256' }, { scope: 'com.atproto.access', ...claims }, {}]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
}
