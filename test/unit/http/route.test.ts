import type { Context } from 'aws-lambda';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { AppError } from '../../../lib/app-error.ts';
import { contract } from '../../../lib/http/contract.ts';
import { preflight } from '../../../lib/http/cors.ts';
import type { ApiEvent } from '../../../lib/http/event.ts';
import type { HostSettings } from '../../../lib/http/host.ts';
import { type ApiHandler, route } from '../../../lib/http/route.ts';
import { type Fields, type Log, silentLog } from '../../../lib/observability/log.ts';
import { type Call, call, eventOf } from '../../integration/http/app.ts';

const hosts = { PDS_APP_ORIGIN: 'http://localhost:3001', PDS_DOMAIN: 'pnptv.test' };
const deps = { hosts, log: silentLog };
const base = { summary: '', access: 'public', host: 'app' } as const;

const echo = contract({
  ...base,
  operationId: 'echo',
  method: 'POST',
  path: '/api/echo',
  body: z.strictObject({ text: z.string().check(z.maxLength(100)) }),
  data: z.object({ text: z.string(), host: z.string(), address: z.string() }),
});
const poke = contract({
  ...base,
  operationId: 'poke',
  method: 'POST',
  path: '/api/poke',
  data: z.object({ poked: z.boolean() }),
});
const look = contract({ ...base, operationId: 'look', method: 'GET', path: '/api/look', data: z.object({}) });
const page = contract({ ...base, operationId: 'page', method: 'GET', path: '/page', host: 'member' });

const routes = (settings: HostSettings = hosts) => ({
  echo: route(echo, { ...deps, hosts: settings }, ({ body, host, address }) => ({
    text: body.text,
    host,
    address,
  })),
  poke: route(poke, { ...deps, hosts: settings }, () => ({ poked: true })),
  page: route(page, { ...deps, hosts: settings }, () => ({
    body: 'hi',
    contentType: 'text/plain',
    cacheControl: 'max-age=60',
  })),
});
const { echo: echoRoute, poke: pokeRoute, page: pageRoute } = routes();
const send = (options: Call, handler = echoRoute) => call(handler, echo, options);
const verdict = async (answer: ReturnType<typeof call>) => {
  const { status, error } = await answer;
  return error ? [status, error.code] : [status];
};

describe('a body', () => {
  it.each([
    ['not JSON', '{"text":'],
    ['not UTF-8', Buffer.from('{"text":"\xe9"}', 'latin1')],
    ['an overlong encoding', Buffer.from([0x7b, 0xc0, 0xa2, 0x7d])],
    ['longer than 16 KiB', JSON.stringify({ text: 'x'.repeat(300_000) })],
    ['longer than 16 KiB in bytes only', JSON.stringify({ text: 'é'.repeat(8200) })],
    ['half a surrogate pair, raw', '{"text":"\ud800"}'],
    ['two values', '{"text":"a"}{"text":"b"}'],
    ['NaN', '{"text":NaN}'],
  ])('that is %s is refused as BODY_INVALID', async (_, rawBody) => {
    const { status, error } = await send({ rawBody });
    expect([status, error?.code, error?.fields]).toEqual([400, 'BODY_INVALID', ['body']]);
  });

  it.each([
    ['half a surrogate pair, escaped', '{"text":"\\ud800"}', ['text']],
    ['NUL, escaped', '{"text":"a\\u0000b"}', ['text']],
    ['a member that nobody knows', '{"text":"a","texт":"b"}', ['texт']],
    ['the wrong type', '{"text":["a"]}', ['text']],
    ['too long a text', JSON.stringify({ text: 'x'.repeat(101) }), ['text']],
    ['an endless name', JSON.stringify({ text: 'x', ['n'.repeat(5000)]: 1 }), ['n'.repeat(64)]],
    ['no object', '[[[[]]]]', ['body']],
    ['arrays 8,000 deep', `{"text":${'['.repeat(8000)}${']'.repeat(8000)}}`, ['text']],
  ])('with %s is refused as INPUT_INVALID, naming the field', async (_, rawBody, fields) => {
    const { status, error } = await send({ rawBody });
    expect([status, error?.code, error?.fields]).toEqual([400, 'INPUT_INVALID', fields]);
  });

  it('of a route that lets pass what it does not know may be as deep and as strange as it likes', async () => {
    const loose = contract({ ...poke, operationId: 'echo', path: '/api/echo', body: z.looseObject({}) });
    const handler = route(loose, deps, () => ({ poked: true }));
    const sent = (rawBody: string) => call(handler, loose, { rawBody });
    expect((await sent(`{"a":${'['.repeat(8000)}${']'.repeat(8000)}}`)).status).toBe(200);
    expect((await sent(`${'{"a":'.repeat(2500)}1${'}'.repeat(2500)}`)).status).toBe(200);
    expect((await sent('{"a":[{"b":"\\u0000"}]}')).error?.fields).toEqual(['a.0.b']);
    expect((await sent('{"a":{"\\ud800":1}}')).error?.fields).toEqual(['a.\ufffd']);
    expect((await sent('{"__proto__":{"x":"y"}}')).status).toBe(200);
  });

  it('may be missing no more than its fields may', async () => {
    const { status, error } = await send({});
    expect([status, error?.fields]).toEqual([400, ['body']]);
  });

  it('comes as text or in base64, with or without a byte order mark', async () => {
    for (const rawBody of [
      '{"text":"ä😀"}',
      Buffer.from('{"text":"ä😀"}'),
      Buffer.from('\ufeff{"text":"ä😀"}'),
    ]) {
      expect((await send({ rawBody })).data.text).toBe('ä😀');
    }
  });

  it.each([
    undefined,
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/jsonp',
    'text/json',
    'multipart/form-data; boundary=x',
  ])('of type %s is refused as 415', async (type) => {
    expect(await verdict(send({ body: { text: 'a' }, headers: { 'content-type': type } }))).toEqual([
      415,
      'CONTENT_TYPE_UNSUPPORTED',
    ]);
  });

  it.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])(
    'of type %s is read',
    async (type) => {
      expect((await send({ body: { text: 'a' }, headers: { 'content-type': type } })).status).toBe(200);
    },
  );

  it('is refused by a route that takes none, unless it is empty', async () => {
    const poked = (options: Call) => verdict(call(pokeRoute, poke, options));
    expect(await poked({})).toEqual([200]);
    expect(
      await poked({ rawBody: '', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
    ).toEqual([200]);
    expect(await poked({ body: {} })).toEqual([200]);
    expect(await poked({ body: { a: 1 } })).toEqual([400, 'BODY_UNEXPECTED']);
    expect(await poked({ body: [] })).toEqual([400, 'BODY_UNEXPECTED']);
    expect(await poked({ body: null })).toEqual([400, 'BODY_UNEXPECTED']);
  });
});

describe('a browser', () => {
  const from = (headers: Record<string, string>, host = 'localhost:3001') =>
    verdict(call(pokeRoute, poke, { headers: { host, ...headers } }));
  const FORBIDDEN = [403, 'ORIGIN_FORBIDDEN'];

  it.each([
    [{}, [200]],
    [{ 'sec-fetch-site': 'same-origin' }, [200]],
    [{ origin: 'http://localhost:3001' }, [200]],
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://localhost:3001' }, [200]],
    [{ 'sec-fetch-site': 'same-site' }, FORBIDDEN],
    [{ 'sec-fetch-site': 'cross-site' }, FORBIDDEN],
    [{ 'sec-fetch-site': 'none' }, FORBIDDEN],
    [{ 'sec-fetch-site': '' }, FORBIDDEN],
    [{ 'sec-fetch-site': 'same-origin, cross-site' }, FORBIDDEN],
    [{ 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }, FORBIDDEN],
    [{ 'sec-fetch-site': 'cross-site', origin: 'http://localhost:3001' }, FORBIDDEN],
    [{ origin: 'null' }, FORBIDDEN],
    [{ origin: '' }, FORBIDDEN],
    [{ origin: 'http://localhost:3002' }, FORBIDDEN],
    [{ origin: 'https://localhost:3001' }, FORBIDDEN],
    [{ origin: 'http://localhost:3001.evil.example' }, FORBIDDEN],
    [{ origin: 'http://evil.localhost:3001' }, FORBIDDEN],
    [{ origin: 'http://alice.pnptv.test' }, FORBIDDEN],
  ] as [Record<string, string>, unknown[]][])('that sends %j is answered %j', async (headers, expected) => {
    expect(await from(headers)).toEqual(expected);
  });

  it('may use the loopback name that it asked for', async () => {
    expect(await from({ origin: 'http://127.0.0.1:3001' }, '127.0.0.1:3001')).toEqual([200]);
    expect(await from({ origin: 'http://127.0.0.1:3001' }, 'localhost:3001')).toEqual(FORBIDDEN);
  });

  it('may read from anywhere: what it reads, a foreign page cannot see', async () => {
    const handler = route(look, deps, () => ({}));
    const { status, headers } = await call(handler, look, { headers: { 'sec-fetch-site': 'cross-site' } });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'cross-origin-resource-policy': 'same-origin' });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('the page of an allowed origin', () => {
  const ALLOWED = 'https://www.example.org';
  const guests = { ...hosts, PDS_ALLOWED_ORIGINS: [ALLOWED, 'http://localhost:5173'] };
  const { poke: open, page: document } = routes(guests);
  const from = (origin: string, more: Record<string, string> = {}) =>
    call(open, poke, { headers: { host: 'localhost:3001', origin, ...more } });
  const asked = (handler: ReturnType<typeof preflight>, headers: Record<string, string>) =>
    handler(eventOf({ method: 'DELETE', path: '/api/any' }, { headers }) as ApiEvent);
  const CORS = /^access-control-/;
  const corsOf = (headers: Record<string, unknown> = {}) =>
    Object.keys(headers).filter((name) => CORS.test(name));
  const NEAR = [
    'https://www.example.org.evil.example',
    'https://example.org',
    'https://shop.example.org',
    'http://www.example.org',
    'https://www.example.org:8443',
    'https://www.example.org/',
    'HTTPS://WWW.EXAMPLE.ORG',
    `${ALLOWED},${ALLOWED}`,
    ` ${ALLOWED}`,
    'null',
    '*',
    '',
  ];

  it('may change something, and read the answer, also a refusal, in the name of who is logged in', async () => {
    for (const site of ['same-site', 'cross-site']) {
      const { status, headers } = await from(ALLOWED, { 'sec-fetch-site': site });
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'access-control-allow-origin': ALLOWED,
        'access-control-allow-credentials': 'true',
        vary: 'Origin',
      });
    }
    const refused = await call(open, poke, {
      headers: { host: 'localhost:3001', origin: ALLOWED },
      body: [],
    });
    expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([400, ALLOWED]);
  });

  it.each(NEAR)('is not %j: it changes nothing, and reads nothing', async (origin) => {
    const { status, error, headers } = await from(origin, { 'sec-fetch-site': 'same-site' });
    expect([status, error?.code, headers.vary]).toEqual([403, 'ORIGIN_FORBIDDEN', 'Origin']);
    expect(corsOf(headers)).toEqual([]);
    const reading = route(look, { ...deps, hosts: guests }, () => ({}));
    const read = await call(reading, look, { headers: { host: 'localhost:3001', origin } });
    expect([read.status, corsOf(read.headers)]).toEqual([200, []]);
  });

  it('is told so beforehand, and any other that it may not', async () => {
    const handler = preflight({ ...deps, hosts: guests });
    const { statusCode, headers, body } = await asked(handler, { origin: ALLOWED });
    expect([statusCode, body]).toEqual([204, undefined]);
    expect(headers).toMatchObject({
      'access-control-allow-origin': ALLOWED,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
      'access-control-allow-headers': 'authorization, content-type',
      vary: 'Origin',
      'x-content-type-options': 'nosniff',
    });
    for (const origin of NEAR) {
      const refusal = await asked(handler, { origin });
      expect([refusal.statusCode, JSON.parse(refusal.body ?? '').error.code]).toEqual([
        403,
        'ORIGIN_FORBIDDEN',
      ]);
      expect(corsOf(refusal.headers)).toEqual([]);
    }
    const elsewhere = await asked(handler, { origin: ALLOWED, host: 'alice.pnptv.test' });
    expect(elsewhere.statusCode).toBe(404);
  });

  it('is nobody’s where no origin is allowed', async () => {
    expect(await verdict(call(pokeRoute, poke, { headers: { origin: ALLOWED } }))).toEqual([
      403,
      'ORIGIN_FORBIDDEN',
    ]);
    const refusal = await asked(preflight(deps), { origin: ALLOWED });
    expect([refusal.statusCode, corsOf(refusal.headers), refusal.headers?.vary]).toEqual([
      403,
      [],
      undefined,
    ]);
  });

  it('changes nothing about the documents of members: they are everybody’s', async () => {
    const { headers } = await call(document, page, { headers: { host: 'a.pnptv.test', origin: ALLOWED } });
    expect(headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
  });
});

describe('a host', () => {
  const app = (host: string) => verdict(call(pokeRoute, poke, { headers: { host } }));
  const member = (host: string) => verdict(call(pageRoute, page, { headers: { host } }));

  it('of the app answers the app’s routes only', async () => {
    for (const host of ['localhost:3001', 'LOCALHOST:3001', '127.0.0.1:3001', '[::1]:3001']) {
      expect(await app(host)).toEqual([200]);
      expect(await member(host)).toEqual([404, 'HOST_UNKNOWN']);
    }
  });

  it('of a member answers the members’ routes only', async () => {
    for (const host of ['alice.pnptv.test', 'Alice.PNPTV.test:8443', 'alice.pnptv.test.']) {
      expect(await member(host)).toEqual([200]);
      expect(await app(host)).toEqual([404, 'NOT_FOUND']);
    }
  });

  it('that is neither answers nothing', async () => {
    for (const host of [
      'localhost',
      'localhost:3002',
      '127.0.0.1',
      '10.0.0.1:3001',
      'pnptv.test',
      'evilpnptv.test',
      'pnptv.test.evil.example',
      '',
      'localhost:3001:3001',
      'x@localhost:3001',
    ]) {
      expect([host, ...(await app(host))]).toEqual([host, 404, 'NOT_FOUND']);
      expect([host, ...(await member(host))]).toEqual([host, 404, 'HOST_UNKNOWN']);
    }
  });

  it('is known with or without the port that its scheme implies', async () => {
    const { poke: https } = routes({ PDS_APP_ORIGIN: 'https://app.pnptv.test', PDS_DOMAIN: 'pnptv.test' });
    expect(await verdict(call(https, poke, { headers: { host: 'app.pnptv.test:443' } }))).toEqual([200]);
    expect(await verdict(call(https, poke, { headers: { host: 'app.pnptv.test:80' } }))).toEqual([
      404,
      'NOT_FOUND',
    ]);
    expect(await verdict(call(https, poke, { headers: { host: '127.0.0.1' } }))).toEqual([404, 'NOT_FOUND']);
  });
});

describe('behind an edge', () => {
  const secret = 'the edge knows this and nobody else does';
  const { echo: behindEdge } = routes({ ...hosts, PDS_ORIGIN_SECRET: secret });
  const through = (headers: Record<string, string>) =>
    send({ body: { text: 'a' }, headers: { host: 'internal.example', ...headers } }, behindEdge);

  it('host and address come from the edge', async () => {
    const { data } = await through({
      'x-origin-secret': secret,
      'x-pds-host': 'LOCALHOST:3001',
      'x-pds-address': '203.0.113.7',
    });
    expect(data).toMatchObject({ host: 'localhost:3001', address: '203.0.113.7' });
  });

  it('nothing gets in past it', async () => {
    const headers = { 'x-pds-host': 'localhost:3001' };
    const REFUSED = [403, 'EDGE_REQUIRED'];
    expect(await verdict(through(headers))).toEqual(REFUSED);
    expect(await verdict(through({ ...headers, 'x-origin-secret': '' }))).toEqual(REFUSED);
    expect(await verdict(through({ ...headers, 'x-origin-secret': `${secret}x` }))).toEqual(REFUSED);
    expect(await verdict(through({ ...headers, 'x-origin-secret': secret.replace('t', 'T') }))).toEqual(
      REFUSED,
    );
    expect(await verdict(through({ 'x-origin-secret': secret }))).toEqual(REFUSED);
  });

  it('without one, its headers mean nothing', async () => {
    const { data } = await send({
      body: { text: 'a' },
      sourceIp: '198.51.100.1',
      headers: { 'x-pds-host': 'evil.example', 'x-pds-address': '1.1.1.1', 'x-forwarded-for': '2.2.2.2' },
    });
    expect(data).toMatchObject({ host: 'localhost:3001', address: '198.51.100.1' });
  });
});

describe('an error', () => {
  const failing = (error: unknown, log: Log = silentLog): ApiHandler =>
    route(poke, { ...deps, log }, () => {
      throw error;
    });
  const answerTo = (error: unknown, log?: Log) => call(failing(error, log), poke, {});

  it('that nobody foresaw leaves as INTERNAL, without its cause, and is logged with the request id', async () => {
    const lines: Fields[] = [];
    const record = (bound: Fields): Log => ({
      ...silentLog,
      error: (message, fields) => lines.push({ ...bound, message, ...fields }),
      with: (fields) => record({ ...bound, ...fields }),
    });
    const cause = new Error('password authentication failed for user "pds_api"');
    const { status, error } = await answerTo(new Error('database', { cause }), record({}));
    expect([status, error?.code]).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(error)).not.toMatch(/database|password|pds_api/);
    expect(lines).toEqual([
      expect.objectContaining({ request_id: error?.request_id, operation: 'poke', error: expect.any(Error) }),
    ]);
  });

  it('of ours that is not documented hides its code and message', async () => {
    const { status, error } = await answerTo(
      new AppError('KMS_BROKEN', 'key arn:aws:kms:… is gone', { status: 400 }),
    );
    expect([status, error?.code, error?.message.includes('arn')]).toEqual([500, 'INTERNAL', false]);
  });

  it('that may be over in a moment says so', async () => {
    expect(await verdict(answerTo(new AppError('KMS_UNAVAILABLE', 'x', { retryable: true })))).toEqual([
      503,
      'UNAVAILABLE',
    ]);
  });

  it.each([
    [new postgres.PostgresError(''), '57P03'],
    [new postgres.PostgresError(''), '53300'],
    [new Error(), 'CONNECTION_DESTROYED'],
    [new Error(), 'ECONNREFUSED'],
  ])('of a database that is away for a moment says so: %s %s', async (error, code) => {
    expect(await verdict(answerTo(Object.assign(error, { code })))).toEqual([503, 'UNAVAILABLE']);
  });

  it('of the database about the statement itself is ours', async () => {
    const error = Object.assign(new postgres.PostgresError(''), { code: '42601' });
    expect(await verdict(answerTo(error))).toEqual([500, 'INTERNAL']);
  });

  it.each([undefined, null, 'text', 0])('may be anything: %s', async (thrown) => {
    expect(await verdict(answerTo(thrown))).toEqual([500, 'INTERNAL']);
  });

  it('comes before the Lambda’s own time-out does', async () => {
    const slow = route(poke, deps, () => new Promise<{ poked: boolean }>(() => {}));
    const context = { getRemainingTimeInMillis: () => 350 } as unknown as Context;
    const answer = await slow(eventOf(poke) as ApiEvent, context);
    expect(answer.statusCode).toBe(503);
    expect(JSON.parse(answer.body ?? '').error.code).toBe('TIMEOUT');
  });
});

it('headers that the database could not store are as good as none', async () => {
  const said = contract({
    ...poke,
    operationId: 'poke',
    data: z.object({ agent: z.string(), language: z.string() }),
  });
  const handler = route(said, deps, ({ userAgent = 'none', acceptLanguage = 'none' }) => ({
    agent: userAgent,
    language: acceptLanguage,
  }));
  const answer = async (headers: Record<string, string>) =>
    JSON.parse((await handler(eventOf(said, { headers }) as ApiEvent, {} as Context)).body ?? '').data;
  expect(await answer({ 'user-agent': 'curl', 'accept-language': 'es' })).toEqual({
    agent: 'curl',
    language: 'es',
  });
  expect(await answer({ 'user-agent': 'a\0b', 'accept-language': '\ud800' })).toEqual({
    agent: 'none',
    language: 'none',
  });
});

it('documents leave without an envelope, with their own type and caching', async () => {
  const { data, headers } = await call(pageRoute, page, {
    headers: { host: 'a.pnptv.test' },
    query: { utm: 'x' },
  });
  expect(data).toBe('hi');
  expect(headers).toMatchObject({ 'content-type': 'text/plain', 'cache-control': 'max-age=60' });
});
