import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { expect } from 'vitest';
import { signBackendRequest } from '../../../infra/local/backend.ts';
import { signWidgetPayload, type TelegramUser } from '../../../infra/local/telegram.ts';
import { internalLogin, loginWidget } from '../../../lib/auth/api.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import { ERROR_CODES, isErrorCode } from '../../../lib/http/error-codes.ts';
import type { ApiAnswer, ApiEvent } from '../../../lib/http/event.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { expectDocumented } from '../../e2e/documented.ts';

export const BOT_TOKEN = '123456:AAtest-bot-token-of-the-integration-tests';
export const WEBHOOK_SECRET = 'what-only-Telegram-knows-in-these-tests';
export const INTERNAL_API_KEYS = [
  'the key under which the backend signs today',
  'the key under which it signed until today',
] as const;
export const ADMIN_ID = 4711;
export const APP_HOST = 'localhost:3001';
export const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');
export const SESSION_SECRET = 'a session secret that has more than 32 characters';

/** The environment that CDK gives the API's functions. They read it when they are imported. */
export function setEnvironment({ apiUrl }: { apiUrl: string }, more: Record<string, string> = {}): void {
  Object.assign(process.env, {
    PDS_ENVIRONMENT: 'test',
    PDS_DOMAIN: 'pnptv.test',
    PDS_APP_ORIGIN: `http://${APP_HOST}`,
    SESSION_SECRET,
    DATABASE_URL: apiUrl,
    TELEGRAM_BOT_TOKEN: BOT_TOKEN,
    TELEGRAM_WEBHOOK_SECRET: WEBHOOK_SECRET,
    TELEGRAM_BOT_USERNAME: 'our_bot',
    TELEGRAM_API_ROOT: 'http://127.0.0.1:9',
    INTERNAL_API_KEYS: INTERNAL_API_KEYS.join('\n'),
    ADMIN_TELEGRAM_IDS: String(ADMIN_ID),
    PDS_ENCRYPTION_KEY: ENCRYPTION_KEY,
    // Nobody listens there, until a test says who does.
    PDS_LOCAL_ENDPOINT: 'http://127.0.0.1:9',
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    // Nobody listens there: a login must not need SQS.
    PROVISIONING_QUEUE_URL: 'http://127.0.0.1:9/000000000000/provisioning',
    CHANGES_QUEUE_URL: 'http://127.0.0.1:9/000000000000/changes',
    EXPORTS_BUCKET: 'exports',
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
    AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:9',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    ...more,
  });
}

export type Call = {
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  rawBody?: string | Uint8Array;
  query?: Record<string, string>;
  /** Of the path. */
  params?: Record<string, string>;
  /** One, or several as a Cookie header has them. */
  cookie?: string;
  headers?: Record<string, string | undefined>;
  sourceIp?: string;
};

/** The event that an HTTP API makes of a request (payload format 2.0). */
export function eventOf(
  { method, path }: Pick<Contract, 'method' | 'path'>,
  { body, rawBody, query, params, cookie, headers = {}, sourceIp = '192.0.2.1' }: Call = {},
): ApiEvent {
  const sent = body === undefined ? rawBody : JSON.stringify(body);
  const isBase64Encoded = sent instanceof Uint8Array;
  return {
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: new URLSearchParams(query).toString(),
    headers: {
      host: APP_HOST,
      ...(sent !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(cookie !== undefined && { cookies: cookie.split('; ') }),
    ...(query && { queryStringParameters: query }),
    ...(params && { pathParameters: params }),
    ...(sent !== undefined && { body: isBase64Encoded ? Buffer.from(sent).toString('base64') : sent }),
    isBase64Encoded,
    requestContext: {
      accountId: '000000000000',
      apiId: 'test',
      domainName: 'test.execute-api.eu-central-1.amazonaws.com',
      domainPrefix: 'test',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp, userAgent: 'vitest' },
      requestId: randomUUID(),
      routeKey: `${method} ${path}`,
      stage: '$default',
      time: new Date().toUTCString(),
      timeEpoch: Date.now(),
    },
  };
}

export type Answer = {
  status: number;
  headers: Record<string, unknown>;
  cookies: string[];
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of it
  data: any;
  pagination: unknown;
  error: { code: string; message: string; request_id: string; fields?: string[] } | undefined;
};

/**
 * Calls a route's Lambda and holds its answer against the contract: the data has the contract's fields and no other,
 * a session begins where it says so and nowhere else, an error is a documented one of this route (as
 * /api/openapi.json has it), and every answer carries the request id and the security headers.
 */
export async function call(handler: ApiHandler, contract: Contract, options: Call = {}): Promise<Answer> {
  const event = eventOf(contract, options);
  const answer = await handler(event, { getRemainingTimeInMillis: () => 10_000 } as unknown as Context);
  const headers: Record<string, unknown> = answer.headers ?? {};
  expect(headers['x-request-id']).toBe(event.requestContext.requestId);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['content-security-policy']).toContain("default-src 'none'");
  const { statusCode: status = 0, body: text = '' } = answer;
  expectDocumented(contract.method, contract.path, {
    status,
    contentType: headers['content-type'] as string | undefined,
    text,
  });
  const newSession = answer.cookies?.some((cookie) => /^__Host-session=[^;]/.test(cookie)) ?? false;
  // A member who came by bearer gets what is new in the answer itself.
  if (newSession || (status === 200 && contract.access === 'public'))
    expect(newSession).toBe(contract.setsSession === true);
  return {
    status,
    headers,
    cookies: answer.cookies ?? [],
    ...readEnvelope(contract, answer, event),
  };
}

function readEnvelope(contract: Contract, answer: ApiAnswer, event: ApiEvent) {
  if (answer.statusCode === (contract.redirect ?? 200) && !contract.data)
    return { data: answer.body, pagination: undefined, error: undefined };
  expect(answer.headers?.['cache-control']).toBe('no-store');
  const envelope = JSON.parse(answer.body ?? '');
  if (answer.statusCode === 200) {
    expect(envelope.success).toBe(true);
    expect(contract.data?.parse(envelope.data)).toEqual(envelope.data);
    expect('pagination' in envelope).toBe(contract.paginated === true);
    return { data: envelope.data, pagination: envelope.pagination, error: undefined };
  }
  expect(Object.keys(envelope)).toEqual(['success', 'error']);
  expect(envelope.success).toBe(false);
  const { code, request_id: requestId } = envelope.error;
  expect(requestId).toBe(event.requestContext.requestId);
  expect(isErrorCode(code) && ERROR_CODES[code].status).toBe(answer.statusCode);
  expect(answer.body).not.toMatch(/\bat .+:\d+:\d+|node_modules|postgres/);
  return { data: undefined, pagination: undefined, error: envelope.error };
}

let lastId = 1_000_000;
/** Somebody who was never here before. */
export function newcomer(): TelegramUser & { username: string } {
  lastId += 1;
  return { id: lastId, first_name: 'Alice', username: `alice_${lastId}` };
}

/** A login as Telegram signs it. */
export function signedLogin(user: TelegramUser = newcomer(), now = new Date()) {
  return signWidgetPayload(BOT_TOKEN, user, now);
}

/** A backend's request, signed with one of its keys. */
export function signedByBackend(
  body: unknown,
  { key = INTERNAL_API_KEYS[0], ...how }: { key?: string; now?: Date; nonce?: string } = {},
): Required<Pick<Call, 'rawBody' | 'headers'>> {
  const rawBody = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const { method, path } = internalLogin;
  return { rawBody, headers: signBackendRequest(key, { method, path, body: rawBody }, how) };
}

/** Logs a member in and returns his cookie. One member's logins within one second are one and the same to Telegram. */
export async function logIn(user: TelegramUser = newcomer()): Promise<string> {
  const { handler } = await import('../../../functions/auth/login-widget.ts');
  const { cookies, error } = await call(handler, loginWidget, { body: signedLogin(user) });
  expect(error).toBeUndefined();
  return cookies[0]?.split(';', 1)[0] ?? '';
}
