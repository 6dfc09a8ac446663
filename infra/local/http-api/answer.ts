import type { InvokeResult } from '../lambda/spec.ts';

/** An answer ready for the wire. */
export type HttpAnswer = {
  status: number;
  headers: [name: string, value: string][];
  body: Buffer;
};

/** What API Gateway itself answers: a JSON object with just a message. */
export function gatewayAnswer(status: number, message: string): HttpAnswer {
  return {
    status,
    headers: [['content-type', 'application/json']],
    body: Buffer.from(JSON.stringify({ message })),
  };
}

/** Headers that belong to the connection; API Gateway writes them itself. */
const CONNECTION_HEADERS = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
]);

/**
 * The answer to a request from what the function returned (payload format 2.0). A function error, or an answer that
 * is none, is a 500 that says nothing more.
 */
export function toAnswer(result: InvokeResult): HttpAnswer {
  if (result.refused === 'throttled') return gatewayAnswer(503, 'Service Unavailable');
  if (result.refused === 'too-large') return gatewayAnswer(413, 'Request Entity Too Large');
  if (result.functionError) return gatewayAnswer(500, 'Internal Server Error');
  const returned: unknown = JSON.parse(result.payload);
  if (typeof returned !== 'object' || returned === null || !('statusCode' in returned)) {
    // Format 2.0: anything without a status code is the body of a 200.
    return {
      status: 200,
      headers: [['content-type', 'application/json']],
      body: Buffer.from(typeof returned === 'string' ? returned : result.payload),
    };
  }
  const { statusCode, headers, multiValueHeaders, cookies, body, isBase64Encoded } = returned as Record<
    string,
    unknown
  >;
  const status = Number(statusCode);
  const isBody = body === undefined || body === null || typeof body === 'string';
  if (!Number.isInteger(status) || status < 100 || status > 599 || !isBody || multiValueHeaders) {
    return gatewayAnswer(500, 'Internal Server Error');
  }
  const lines = Object.entries(headers ?? {})
    .filter(([name]) => !CONNECTION_HEADERS.has(name.toLowerCase()))
    .map(([name, value]): [string, string] => [name.toLowerCase(), String(value)]);
  if (!lines.some(([name]) => name === 'content-type') && body) {
    lines.push(['content-type', 'text/plain;charset=UTF-8']);
  }
  for (const cookie of Array.isArray(cookies) ? cookies : []) lines.push(['set-cookie', String(cookie)]);
  return { status, headers: lines, body: Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8') };
}
