import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '../../../lib/app-error.ts';
import { gatewayAnswer, type HttpAnswer } from './answer.ts';
import { answerRequest, type HttpApi, MAX_BODY_BYTES, MAX_HEADER_BYTES } from './api.ts';
import { splitTarget } from './request.ts';
import { findStaticFile } from './static-files.ts';

/** Answers a request that belongs to this machine alone, or says that it is not its own. */
export type LocalRoute = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<boolean>;

export type GatewayOptions = {
  /** 0: a free one. */
  port: number;
  /** Members' domain: its names go to the API and nowhere else. */
  domain: string;
  localRoutes?: readonly LocalRoute[];
  /** Folders whose files the app's own hosts serve; the first that has a file wins. */
  staticDirectories?: readonly string[];
};

export type Gateway = {
  url: string;
  port: number;
  /** Until then every request is answered 503. */
  serve(api: HttpApi): void;
  stop(): Promise<void>;
};

/** Paths of the app origin that CloudFront sends to the API; everything else is the web. */
const API_PATH = /^\/(api|telegram|\.well-known)(\/|$)/;

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * The listener in front: plays CloudFront (static files, and which host may ask for what) and hands the rest to the
 * HTTP API with the Host header as it came. Listens on 127.0.0.1 and, where there is one, on ::1.
 * Fails with PORT_TAKEN.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  let api: HttpApi | undefined;
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else send(response, gatewayAnswer(500, 'Internal Server Error'));
    });
  };

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const target = request.url ?? '/';
    const [path] = splitTarget(target);
    const host = hostName(request);
    const isMemberHost = host.endsWith(`.${options.domain}`);
    if (!isMemberHost && !API_PATH.test(path)) {
      // A page of another name that was made to point here (DNS rebinding) gets nothing.
      if (!LOOPBACK_NAMES.has(host)) return send(response, gatewayAnswer(404, 'Not Found'));
      for (const route of options.localRoutes ?? []) if (await route(request, response, path)) return;
      return send(response, await staticAnswer(request, path));
    }
    const body = await readBody(request);
    if (body === undefined) return send(response, gatewayAnswer(413, 'Request Entity Too Large'));
    if (!api) return send(response, gatewayAnswer(503, 'Service Unavailable'));
    const answer = await answerRequest(api, {
      method: request.method ?? 'GET',
      target,
      rawHeaders: request.rawHeaders,
      body,
      sourceIp: request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '127.0.0.1',
    });
    send(response, answer);
  }

  async function staticAnswer(request: IncomingMessage, path: string): Promise<HttpAnswer> {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const file = isRead ? await findStaticFile(options.staticDirectories ?? [], path) : undefined;
    if (!file) return gatewayAnswer(404, 'Not Found');
    const headers: HttpAnswer['headers'] = [
      ['content-type', file.type],
      ['cache-control', 'no-cache'],
    ];
    return { status: 200, headers, body: file.content };
  }

  const servers = await listen(options.port, onRequest);
  const { port } = servers[0].address() as AddressInfo;
  return {
    url: `http://localhost:${port}`,
    port,
    serve: (served) => {
      api = served;
    },
    async stop() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

async function listen(
  port: number,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<[Server, ...Server[]]> {
  const server = () => createServer({ maxHeaderSize: MAX_HEADER_BYTES }, onRequest).on('clientError', refuse);
  const first = server().listen(port, '127.0.0.1');
  await once(first, 'listening').catch((error) => Promise.reject(listenError(error, port)));
  const second = server();
  second.listen((first.address() as AddressInfo).port, '::1');
  try {
    await once(second, 'listening');
    return [first, second];
  } catch (error) {
    // Without IPv6, `localhost` is 127.0.0.1. A stranger on ::1 would get the browser's requests.
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return [first];
    first.close();
    throw listenError(error as NodeJS.ErrnoException, port);
  }
}

/** What is no HTTP, or has more headers than API Gateway takes, is refused by the parser; here it gets its answer. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const { status, headers, body } =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? gatewayAnswer(431, 'Request Header Fields Too Large')
      : gatewayAnswer(400, 'Bad Request');
  const lines = [...headers, ['content-length', body.length], ['connection', 'close']];
  const head = lines.map(([name, value]) => `${name}: ${value}`).join('\r\n');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n\r\n${body}`);
}

function listenError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new AppError('PORT_TAKEN', `Port ${port} is taken by another program.`, { cause: error });
  }
  if (error.code === 'EACCES') {
    return new AppError('PORT_REFUSED', `Port ${port} may not be used by this account.`, { cause: error });
  }
  return error;
}

function hostName({ headers }: IncomingMessage): string {
  return (headers.host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
}

/** Undefined when the body is larger than API Gateway takes; the rest of it is read and thrown away. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

function send(response: ServerResponse, { status, headers, body }: HttpAnswer): void {
  const isBodiless = response.req.method === 'HEAD' || status === 204 || status === 304;
  const length: [string, string][] =
    status === 204 || status === 304 ? [] : [['content-length', String(body.length)]];
  // A list of pairs would lose all but the last of equal names; a flat list keeps them.
  response.writeHead(status, [...headers, ...length].flat());
  response.end(isBodiless ? undefined : body);
}
