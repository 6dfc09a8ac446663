import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCloud } from '../../../infra/local/cloud.ts';
import { type Gateway, startGateway } from '../../../infra/local/http-api/gateway.ts';
import { lambda, runStacks } from './assembly.ts';

const CODE = {
  echo: `export const handler = async (event) => ({ statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(event) });`,
  cookies: `export const handler = async () => ({ statusCode: 201, cookies: ['a=1; HttpOnly', 'b=2'], headers: { 'X-Thing': 'yes' } });`,
  binary: `export const handler = async () => ({ statusCode: 200, headers: { 'content-type': 'image/png' }, isBase64Encoded: true, body: Buffer.from([0, 255, 1]).toString('base64') });`,
  plain: `export const handler = async () => ({ hello: 'world' });`,
  throws: `export const handler = async () => { throw new Error('secret cause'); };`,
  wrong: `export const handler = async () => ({ statusCode: 'abc' });`,
  slow: `export const handler = () => new Promise((resolve) => setTimeout(resolve, 5_000));`,
};
const ROUTES: Record<string, keyof typeof CODE> = {
  'GET /api/echo': 'echo',
  'POST /api/echo': 'echo',
  'GET /api/items/{id}': 'echo',
  'GET /api/items/fixed': 'plain',
  'ANY /api/any/{proxy+}': 'echo',
  'GET /.well-known/atproto-did': 'echo',
  'GET /api/cookies': 'cookies',
  'GET /api/binary': 'binary',
  'GET /api/throws': 'throws',
  'GET /api/wrong': 'wrong',
  'GET /api/slow': 'slow',
  'GET /api/timeout': 'slow',
};

/** A route with its integration, by logical id. */
function routeTo(
  name: string,
  { index, ApiId, RouteKey }: { index: number; ApiId: object; RouteKey: string },
): [string, { Type: string; Properties: object }][] {
  return [
    [
      `integration${index}`,
      {
        Type: 'AWS::ApiGatewayV2::Integration',
        Properties: {
          ApiId,
          IntegrationType: 'AWS_PROXY',
          IntegrationUri: { 'Fn::GetAtt': [name, 'Arn'] },
          PayloadFormatVersion: '2.0',
          ...(RouteKey.endsWith('/timeout') && { TimeoutInMillis: 200 }),
        },
      },
    ],
    [
      `route${index}`,
      {
        Type: 'AWS::ApiGatewayV2::Route',
        Properties: {
          ApiId,
          RouteKey,
          Target: { 'Fn::Join': ['', ['integrations/', { Ref: `integration${index}` }]] },
        },
      },
    ],
  ];
}

describe('the HTTP API', () => {
  let cloud: RunningCloud;
  let gateway: Gateway;

  beforeAll(async () => {
    const names = Object.keys(CODE).map((name) => [name, lambda(name, { Timeout: name === 'slow' ? 1 : 3 })]);
    const routes = Object.entries(ROUTES).flatMap(([RouteKey, name], index) =>
      routeTo(name, { index, ApiId: { Ref: 'api' }, RouteKey }),
    );
    cloud = await runStacks(
      {
        service: {
          Resources: {
            api: { Type: 'AWS::ApiGatewayV2::Api', Properties: { Name: 'api', ProtocolType: 'HTTP' } },
            stage: {
              Type: 'AWS::ApiGatewayV2::Stage',
              Properties: { ApiId: { Ref: 'api' }, StageName: '$default', AutoDeploy: true },
            },
            ...Object.fromEntries([...names, ...routes]),
          },
          Outputs: { out: { Value: { Ref: 'api' }, Export: { Name: 'service:api' } } },
        },
        other: {
          dependencies: ['service'],
          Resources: {
            other: lambda('plain'),
            ...Object.fromEntries(
              routeTo('other', {
                index: 0,
                ApiId: { 'Fn::ImportValue': 'service:api' },
                RouteKey: 'GET /api/other',
              }),
            ),
          },
        },
      },
      CODE,
    );
    gateway = await startGateway({
      port: 0,
      domain: 'members.test',
      localRoutes: [
        async (_request, response, path) => {
          if (path !== '/_local/hello') return false;
          response.end('hello');
          return true;
        },
      ],
      staticDirectories: [import.meta.dirname],
    });
    gateway.serve(cloud.api());
  });
  afterAll(async () => {
    await gateway.stop();
    await cloud.stop();
  });

  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(gateway.url + path, init);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const event = async (path: string, init?: RequestInit) => JSON.parse((await get(path, init)).text);

  it('hands the request over in payload format 2.0', async () => {
    const received = await event('/api/echo?a=1&b=2&a=3&c=%C3%BC', {
      headers: { cookie: 'x=1; y=2', 'X-One': 'Two' },
    });
    expect(received).toMatchObject({
      version: '2.0',
      routeKey: 'GET /api/echo',
      rawPath: '/api/echo',
      rawQueryString: 'a=1&b=2&a=3&c=%C3%BC',
      queryStringParameters: { a: '1,3', b: '2', c: 'ü' },
      cookies: ['x=1', 'y=2'],
      isBase64Encoded: false,
      requestContext: {
        stage: '$default',
        http: { method: 'GET', path: '/api/echo', sourceIp: '127.0.0.1' },
      },
    });
    expect(received.headers).toMatchObject({ 'x-one': 'Two', host: `localhost:${gateway.port}` });
    expect(received.headers).not.toHaveProperty('cookie');
    expect(received).not.toHaveProperty('body');
  });

  it('joins duplicate headers by commas', async () => {
    const call = request(`${gateway.url}/api/echo`, { headers: { 'x-list': ['one', 'two'] } }).end();
    const [response] = await once(call, 'response');
    expect(JSON.parse((await response.toArray()).join('')).headers['x-list']).toBe('one,two');
  });

  it('sends text bodies as text and everything else as base64', async () => {
    const text = await event('/api/echo', {
      method: 'POST',
      body: '{"ü":1}',
      headers: { 'content-type': 'application/json' },
    });
    expect(text).toMatchObject({ body: '{"ü":1}', isBase64Encoded: false });
    const bytes = new Uint8Array([0x7b, 0xff]);
    for (const type of ['application/json', 'application/octet-stream']) {
      const binary = await event('/api/echo', {
        method: 'POST',
        body: bytes,
        headers: { 'content-type': type },
      });
      expect(binary).toMatchObject({ body: Buffer.from(bytes).toString('base64'), isBase64Encoded: true });
    }
  });

  it('decodes path parameters and prefers fixed paths', async () => {
    expect((await event('/api/items/a%2Fb%20c')).pathParameters).toEqual({ id: 'a/b c' });
    expect((await event('/api/any/one/two', { method: 'DELETE' })).pathParameters).toEqual({
      proxy: 'one/two',
    });
    expect((await get('/api/items/fixed')).text).toBe('{"hello":"world"}');
  });

  it('answers 404 for what is no route, also by method', async () => {
    for (const [path, method] of [
      ['/api/nothing', 'GET'],
      ['/api/echo', 'DELETE'],
      ['/api/items/', 'GET'],
      ['/api/echo/', 'GET'],
    ]) {
      const { status, text } = await get(path ?? '', { method });
      expect([status, text]).toEqual([404, '{"message":"Not Found"}']);
    }
  });

  it('answers 400 to broken percent-encoding', async () => {
    for (const path of ['/api/items/%zz', '/api/items/%ff', '/api/echo?a=%E0%A4%A']) {
      expect((await get(path)).status).toBe(400);
    }
  });

  it('sets several cookies and keeps headers', async () => {
    const { status, headers, text } = await get('/api/cookies');
    expect([status, text]).toEqual([201, '']);
    expect(headers.getSetCookie()).toEqual(['a=1; HttpOnly', 'b=2']);
    expect(headers.get('x-thing')).toBe('yes');
  });

  it('sends binary answers', async () => {
    const response = await fetch(`${gateway.url}/api/binary`);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([0, 255, 1]));
  });

  it.each(['/api/throws', '/api/wrong', '/api/slow'])(
    'says nothing but 500 when the function fails: %s',
    async (path) => {
      const { status, text } = await get(path);
      expect([status, text]).toEqual([500, '{"message":"Internal Server Error"}']);
    },
  );

  it('answers 503 when the integration takes too long', async () => {
    const { status, text } = await get('/api/timeout');
    expect([status, text]).toEqual([503, '{"message":"Service Unavailable"}']);
  });

  it('answers 413 above 10 MB and 413 above what a Lambda takes', async () => {
    for (const size of [10 * 1024 * 1024 + 1, 7_000_000]) {
      const { status, text } = await get('/api/echo', { method: 'POST', body: 'x'.repeat(size) });
      expect([status, text]).toEqual([413, '{"message":"Request Entity Too Large"}']);
    }
  });

  it('takes routes from other stacks, whatever they call theirs', async () => {
    expect((await get('/api/other')).text).toBe('{"hello":"world"}');
    expect(await event('/api/echo')).toMatchObject({ rawPath: '/api/echo' });
  });

  it('answers 431 to too many headers', async () => {
    const { status, text } = await get('/api/echo', { headers: { 'x-big': 'x'.repeat(11_000) } });
    expect([status, text]).toEqual([431, '{"message":"Request Header Fields Too Large"}']);
  });

  it.each(['x: a\rb', 'x: a\0b', 'x y: z', 'x'])('answers 400 to what is no HTTP: %j', async (line) => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(`GET /api/echo HTTP/1.1\r\nHost: localhost\r\n${line}\r\n\r\n`);
    const answer = (await socket.toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('{"message":"Bad Request"}');
  });

  it('serves members’ hosts by the API alone, with their Host', async () => {
    const asMember = async (path: string) => {
      const call = request(gateway.url + path, { headers: { host: 'alice.members.test' } }).end();
      const [response] = await once(call, 'response');
      return { status: response.statusCode, text: (await response.toArray()).join('') };
    };
    const { text } = await asMember('/.well-known/atproto-did');
    expect(JSON.parse(text).headers.host).toBe('alice.members.test');
    expect((await asMember('/assembly.ts')).status).toBe(404);
    expect((await asMember('/_local/hello')).status).toBe(404);
  });

  it('serves local routes to the machine’s own names only', async () => {
    expect((await get('/_local/hello')).text).toBe('hello');
    const call = request(`${gateway.url}/_local/hello`, { headers: { host: 'evil.example' } }).end();
    const [response] = await once(call, 'response');
    expect(response.statusCode).toBe(404);
  });

  it.each(['/..%2f..%2f..%2fpackage.json', '/%2e%2e/%2e%2e/%2e%2e/package.json', '/../../../package.json'])(
    'serves no file outside its folders: %s',
    async (path) => {
      const socket = connect(gateway.port, '127.0.0.1').end(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      expect((await socket.toArray()).join('')).toContain('404 Not Found');
    },
  );
});
