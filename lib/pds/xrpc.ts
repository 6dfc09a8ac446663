import * as z from 'zod/mini';
import { readAtMost } from './read-at-most.ts';
import { XrpcError, type XrpcFault } from './xrpc-error.ts';

/** A PDS as we reach it. */
export type PdsConnection = {
  readonly fetch: typeof globalThis.fetch;
  /** Origin without a trailing slash. */
  readonly endpoint: string;
  /** For the whole exchange, from connecting to the last byte. */
  readonly timeoutMs: number;
  readonly now: () => Date;
  /** Lets us through the PDS's rate limits, where its operator gave it to us. */
  readonly rateLimitBypassKey?: string | undefined;
};

export type XrpcRequest<Answer> = {
  nsid: string;
  /** Parameters of a query (GET). */
  params?: Readonly<Record<string, string>>;
  /** Input of a procedure (POST); null for a procedure without input. */
  input?: Readonly<Record<string, unknown>> | null;
  /** The whole Authorization header. */
  authorization?: string;
  /** What the answer must be; absent for a procedure whose answer is empty. */
  answer?: z.ZodMiniType<Answer>;
};

const LONGEST_ANSWER = 512 * 1024;
const LONGEST_DETAIL = 300;
const errorBody = z.object({ error: z.string(), message: z.optional(z.string()) });

/**
 * One XRPC call (https://atproto.com/specs/xrpc). Follows no redirect, reads at most 512 KiB and checks the
 * answer's shape; throws XrpcError and nothing else. Neither inputs nor answers are ever logged.
 */
export async function callXrpc<Answer = void>(
  pds: PdsConnection,
  request: XrpcRequest<Answer>,
): Promise<Answer> {
  const signal = AbortSignal.timeout(pds.timeoutMs);
  return readAnswer(pds, request, await exchange(pds, request, signal));
}

/** What an answer says, if it is a good one and has the right shape; else throws XrpcError. */
export function readAnswer<Answer>(
  { now }: Pick<PdsConnection, 'now'>,
  { nsid, answer }: Pick<XrpcRequest<Answer>, 'nsid' | 'answer'>,
  { status, headers, text }: XrpcAnswer,
): Answer {
  if (status < 200 || status >= 300) throw refusalOf(nsid, { status, headers, text }, now());
  // A procedure without an answer is answered by nothing, or by an empty object; what says more is no PDS.
  if (!answer && (text.trim() === '' || parseJson(text) !== undefined)) return undefined as Answer;
  if (!answer) throw new XrpcError({ nsid, fault: 'malformed', status });
  const parsed = answer.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new XrpcError({ nsid, fault: 'malformed', status });
}

/** What an answer that is no success means. */
export function refusalOf(nsid: string, { status, headers, text }: XrpcAnswer, now: Date): XrpcError {
  const body = errorBody.safeParse(parseJson(text));
  const { error, message } = body.success ? body.data : {};
  const fault = faultOf(status, body.success);
  const retryAt = fault === 'throttled' ? comeBackAt(headers, now) : undefined;
  return new XrpcError({ nsid, fault, status, error, detail: message?.slice(0, LONGEST_DETAIL), retryAt });
}

/** A request of which there is no (whole) answer. */
export function lostAnswer(nsid: string, signal: AbortSignal, cause: unknown): XrpcError {
  if (cause instanceof XrpcError) return cause;
  return new XrpcError({ nsid, fault: signal.aborted ? 'timeout' : connectionFault(cause), cause });
}

type XrpcAnswer = { status: number; headers: Headers; text: string };

async function exchange(
  pds: PdsConnection,
  { nsid, params, input, authorization }: XrpcRequest<unknown>,
  signal: AbortSignal,
): Promise<XrpcAnswer> {
  const query = params ? `?${new URLSearchParams(params)}` : '';
  try {
    const response = await pds.fetch(`${pds.endpoint}/xrpc/${nsid}${query}`, {
      method: input === undefined ? 'GET' : 'POST',
      redirect: 'manual',
      signal,
      headers: {
        accept: 'application/json',
        ...(input && { 'content-type': 'application/json' }),
        ...headersOf(pds, authorization),
      },
      ...(input && { body: JSON.stringify(input) }),
    });
    return await readBody(nsid, response);
  } catch (cause) {
    throw lostAnswer(nsid, signal, cause);
  }
}

/** By which the PDS knows who asks. */
export function headersOf({ rateLimitBypassKey }: PdsConnection, authorization: string | undefined) {
  return {
    ...(authorization !== undefined && { authorization }),
    ...(rateLimitBypassKey && { 'x-ratelimit-bypass': rateLimitBypassKey }),
  };
}

/** The whole answer, if it is no longer than an answer may be. */
export async function readBody(nsid: string, response: Response): Promise<XrpcAnswer> {
  const { status, headers } = response;
  const text = await readAtMost(response, LONGEST_ANSWER);
  if (text === undefined) throw new XrpcError({ nsid, fault: 'malformed', status });
  return { status, headers, text };
}

function faultOf(status: number, spokenInXrpc: boolean): XrpcFault {
  if (status === 429) return 'throttled';
  if (status === 502 || status === 503 || status === 504) return 'unavailable';
  if (status >= 500) return 'server_error';
  return status >= 400 && spokenInXrpc ? 'rejected' : 'malformed';
}

/** What undici and the system say when there was never a connection to write to. */
const NEVER_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What a request came to that fetch gave up. */
export function connectionFault(error: unknown): 'timeout' | 'unreachable' | 'interrupted' {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === 'TimeoutError') return 'timeout';
    // A name with several addresses fails with one error for each of them.
    const causes = cause instanceof AggregateError ? cause.errors : [cause];
    if (causes.length > 0 && causes.every(({ code }) => NEVER_CONNECTED.has(code))) return 'unreachable';
  }
  return 'interrupted';
}

/** Limits of the Docker distribution count over five minutes. */
const USUAL_WINDOW_MS = 5 * 60_000;
const LONGEST_WAIT_MS = 24 * 3600_000;

/** When a 429 ends: `Retry-After` (RFC 9110 §10.2.3), else `RateLimit-Reset`, in Unix seconds as the PDS writes it. */
function comeBackAt(headers: Headers, now: Date): Date {
  const retryAfter = headers.get('retry-after');
  const reset = Number(headers.get('ratelimit-reset') ?? Number.NaN) * 1000;
  const seconds = Number(retryAfter ?? Number.NaN);
  const asked = Number.isNaN(seconds)
    ? Date.parse(retryAfter ?? '') || reset
    : now.getTime() + seconds * 1000;
  const wait = asked - now.getTime();
  return new Date(now.getTime() + (wait > 0 && wait <= LONGEST_WAIT_MS ? wait : USUAL_WINDOW_MS));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
