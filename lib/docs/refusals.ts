import type { Contract } from '../http/contract.ts';
import { ERROR_CODES, type ErrorCode } from '../http/error-codes.ts';

/** What API Gateway answers by itself, `{"message": …}`: to a broken address, over its limits, or without an answer. */
export const GATEWAY_STATUSES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/**
 * Every code with which a route may refuse, in the order of their statuses: those that `route()` answers for any route
 * of this kind, and the contract's own.
 */
export function refusalsOf({ access, host, method, params, body, data, errors = [] }: Contract): ErrorCode[] {
  const codes: ErrorCode[] = [
    // Each step of lib/http/route.ts, in its order.
    ...(['EDGE_REQUIRED', host === 'app' ? 'NOT_FOUND' : 'HOST_UNKNOWN'] as const),
    ...(method === 'GET' ? [] : (['ORIGIN_FORBIDDEN'] as const)),
    ...(access === 'public' ? [] : (['SESSION_REQUIRED'] as const)),
    ...(access === 'admin' ? (['ADMIN_REQUIRED'] as const) : []),
    ...(['CONTENT_TYPE_UNSUPPORTED', 'BODY_INVALID'] as const),
    ...(body ? [] : (['BODY_UNEXPECTED'] as const)),
    ...(data || body || params ? (['INPUT_INVALID'] as const) : []),
    ...errors,
    ...(['INTERNAL', 'UNAVAILABLE', 'TIMEOUT'] as const),
  ];
  return [...new Set(codes)].sort((a, b) => ERROR_CODES[a].status - ERROR_CODES[b].status);
}
