import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** A request as it came over the wire, its body read. */
export type HttpRequest = {
  method: string;
  /** Path and query, as sent. */
  target: string;
  /** Names and values in turn, as sent (`IncomingMessage.rawHeaders`). */
  rawHeaders: readonly string[];
  body: Buffer;
  sourceIp: string;
};

type ApiContext = { apiId: string; account: string; stage: string; stageVariables?: Record<string, string> };

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * The event for a Lambda proxy integration, payload format 2.0: headers in lower case and joined by commas, cookies
 * apart, a body that is no text in base64.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export function toEvent(
  api: ApiContext,
  request: HttpRequest,
  routeKey: string,
  pathParameters: Record<string, string>,
): APIGatewayProxyEventV2 {
  const [rawPath, rawQueryString] = splitTarget(request.target);
  const { cookie, ...headers } = joinHeaders(request.rawHeaders);
  const cookies = cookie?.split(/; */).filter(Boolean);
  const text = request.body.length === 0 ? undefined : textOf(request.body, headers['content-type']);
  const now = new Date();
  const domainName = headers.host ?? '';
  return {
    version: '2.0',
    routeKey,
    rawPath,
    rawQueryString,
    ...(cookies && { cookies }),
    headers,
    ...(rawQueryString && { queryStringParameters: joinQuery(rawQueryString) }),
    ...(Object.keys(pathParameters).length > 0 && { pathParameters }),
    ...(api.stageVariables && { stageVariables: api.stageVariables }),
    requestContext: {
      accountId: api.account,
      apiId: api.apiId,
      domainName,
      domainPrefix: domainName.split('.')[0] ?? '',
      http: {
        method: request.method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: request.sourceIp,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey,
      stage: api.stage,
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    ...(request.body.length > 0 && { body: text ?? request.body.toString('base64') }),
    isBase64Encoded: request.body.length > 0 && text === undefined,
  };
}

/** Path and query string of a request target. */
export function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const joined: Record<string, string> = Object.create(null);
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = String(rawHeaders[index]).toLowerCase();
    const value = String(rawHeaders[index + 1]);
    const separator = name === 'cookie' ? '; ' : ',';
    joined[name] = name in joined ? `${joined[name]}${separator}${value}` : value;
  }
  return { ...joined };
}

/** Several values of one name are joined by commas. A broken percent-encoding throws URIError. */
function joinQuery(query: string): Record<string, string> {
  decodeURIComponent(query);
  const joined = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(joined);
}

/** The body as text when its type says text and its bytes are UTF-8; otherwise it travels as base64. */
function textOf(body: Buffer, contentType = ''): string | undefined {
  const isText = /^(text\/|application\/([a-z0-9.+-]*\+)?(json|xml|javascript)\b)/i.test(contentType.trim());
  if (!isText) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}

function commonLogTime(date: Date): string {
  const [day, time] = date.toISOString().split('T');
  const [year, month, dayOfMonth] = (day ?? '').split('-');
  return `${dayOfMonth}/${MONTHS[Number(month) - 1]}/${year}:${time?.slice(0, 8)} +0000`;
}
