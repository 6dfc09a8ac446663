import { createServer, type RequestListener } from 'node:http';
import type { JWTPayload } from 'jose';
import { listen } from '../../../infra/local/aws/http-server.ts';
import { type Issuer, openIssuer } from '../../../infra/local/openid/issuer.ts';

export const CLIENT_ID = '123456';
export const CLIENT_SECRET = 'a client secret: with / and %';
export const REDIRECT_URI = 'http://localhost:3001/api/auth/telegram/callback';

export type TestIssuer = Awaited<ReturnType<typeof startTestIssuer>>;

/** The local platform's issuer on a port of its own, which can be made to misbehave. */
export async function startTestIssuer() {
  const server = createServer();
  const { url: origin, stop } = await listen(server, { name: 'the test issuer' });
  const wrong: {
    /** Answers in place of the issuer, by the last part of the path. */
    answers: Record<string, RequestListener>;
    /** Makes the ID token in its place. */
    token?: (claims: JWTPayload, issuer: Issuer) => string | Promise<string>;
  } = { answers: {} };
  const questions: string[] = [];
  const issuer = await openIssuer({
    ...{ origin, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI },
    sign: (claims, real) => (wrong.token ? wrong.token(claims, real) : real.sign(claims)),
  });
  server.on('request', (request, response) => {
    const { pathname } = new URL(request.url ?? '', origin);
    const question = pathname.split('/').at(-1) ?? '';
    questions.push(question);
    const answer = wrong.answers[question];
    if (answer) answer(request, response);
    else void issuer.route(request, response, pathname);
  });
  return { url: issuer.url, questions, wrong, stop };
}

/** What an endpoint of a bad issuer answers. */
export const BAD_ANSWERS: Readonly<Record<string, RequestListener>> = {
  'a page': (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello</html>'),
  'half a document': (_, response) => response.writeHead(200).end('{"id_token": "ey'),
  'another document': (_, response) => response.writeHead(200).end('{"hello": ["world"]}'),
  nothing: (_, response) => response.writeHead(200).end(),
  'ten megabytes': (_, response) =>
    response.writeHead(200).end(`{"id_token": "${'x'.repeat(10 * 1024 * 1024)}"}`),
  'the way to elsewhere': (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
  'that it is broken': (_, response) => response.writeHead(500).end('{"error": "server_error"}'),
  'that it does not know us': (_, response) => response.writeHead(401).end('{"error": "invalid_client"}'),
  'that we ask too often': (_, response) => response.writeHead(429).end('slow down'),
  'not to the end': (_, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('{');
    setTimeout(() => response.destroy(), 10);
  },
  'by hanging up': (request) => request.socket.destroy(),
};
