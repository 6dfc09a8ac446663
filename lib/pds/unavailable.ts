import type { AppError } from '../app-error.ts';
import { apiError } from '../http/error-codes.ts';
import type { XrpcError } from './xrpc-error.ts';

/** What a member is told whose PDS did not answer, or not as it should: `UNAVAILABLE` (503), and when to come back. */
export function pdsUnavailable(cause: XrpcError, now: Date): AppError {
  const wait = cause.retryAt && Math.max(1, Math.ceil((cause.retryAt.getTime() - now.getTime()) / 1000));
  return apiError('UNAVAILABLE', { cause, ...(wait !== undefined && { retryAfter: wait }) });
}
