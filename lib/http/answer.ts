import { AppError } from '../app-error.ts';
import { isTransientDatabaseError } from '../db/transient.ts';
import type { Log } from '../observability/log.ts';
import type { Contract, HostKind } from './contract.ts';
import { ERROR_CODES, type ErrorCode, isErrorCode } from './error-codes.ts';
import type { ApiAnswer } from './event.ts';
import type { RawAnswer, Redirect, Result } from './request.ts';

/** What every answer carries, whatever it says. OWASP ASVS 5.0, 3.4. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};
/** DID documents are there for everybody's browser; the API for our own pages. */
const READERS: Record<HostKind, Record<string, string>> = {
  app: { 'cross-origin-resource-policy': 'same-origin' },
  member: { 'cross-origin-resource-policy': 'cross-origin', 'access-control-allow-origin': '*' },
};

/** An answer in JSON that nobody keeps. */
function jsonAnswer(statusCode: number, body: unknown): ApiAnswer {
  return {
    statusCode,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}

/** What a handler returned, as the contract says it leaves: in the envelope, or as it is. */
export function envelope<C extends Contract>(
  { data, paginated, download, redirect }: C,
  result: Result<C>,
): ApiAnswer {
  if (redirect) {
    const { location } = result as Redirect;
    return { statusCode: redirect, headers: { location, 'cache-control': 'no-store' } };
  }
  if (!data) {
    const { body, contentType, cacheControl, contentSecurityPolicy, referrerPolicy } = result as RawAnswer;
    const headers = {
      'content-type': contentType,
      'cache-control': cacheControl,
      ...(contentSecurityPolicy !== undefined && { 'content-security-policy': contentSecurityPolicy }),
      ...(referrerPolicy !== undefined && { 'referrer-policy': referrerPolicy }),
    };
    return { statusCode: 200, headers, body };
  }
  const answer = jsonAnswer(
    200,
    paginated ? { success: true, ...(result as object) } : { success: true, data: result },
  );
  if (download === undefined) return answer;
  // RFC 6266; a name of a contract holds nothing that would have to be escaped.
  const headers = { ...answer.headers, 'content-disposition': `attachment; filename="${download}"` };
  return { ...answer, headers };
}

/** Adds to an answer what all of them carry. */
export function withCommonHeaders(answer: ApiAnswer, host: HostKind, requestId: string): ApiAnswer {
  const headers = { ...SECURITY_HEADERS, ...READERS[host], ...answer.headers, 'x-request-id': requestId };
  return { ...answer, headers };
}

/**
 * The one place where errors become answers. A documented error leaves as it is; whatever else went wrong is logged
 * with all its causes and leaves as UNAVAILABLE when the same request may work later, else as INTERNAL.
 */
export function errorAnswer(error: unknown, log: Log, requestId: string): ApiAnswer {
  const code = documentedCode(error);
  const { status, message } = ERROR_CODES[code];
  const { fields = [], retryAfter }: Partial<AppError> = error instanceof AppError ? error : {};
  if (status >= 500) log.error('request failed', { code, status, error });
  else log.info('request refused', { code, status, ...(fields.length > 0 && { fields }) });
  const answer = jsonAnswer(status, {
    success: false,
    error: { code, message, request_id: requestId, ...(fields.length > 0 && { fields }) },
  });
  if (retryAfter !== undefined) answer.headers = { ...answer.headers, 'retry-after': String(retryAfter) };
  return answer;
}

/** The code with which an error leaves: its own if that is documented, else UNAVAILABLE or INTERNAL. */
export function documentedCode(error: unknown): ErrorCode {
  if (!(error instanceof AppError)) return isTransientDatabaseError(error) ? 'UNAVAILABLE' : 'INTERNAL';
  if (isErrorCode(error.code)) return error.code;
  return error.retryable ? 'UNAVAILABLE' : 'INTERNAL';
}
