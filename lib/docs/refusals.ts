import type { Access, Contract } from '../http/contract.ts';
import { ERROR_CODES, type ErrorCode } from '../http/error-codes.ts';

/** What API Gateway answers by itself, `{"message": …}`: to a broken address, over its limits, or without an answer. */
export const GATEWAY_STATUSES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const OF_ACCESS: Readonly<Record<Access, readonly ErrorCode[]>> = {
  public: [],
  member: ['SESSION_REQUIRED'],
  admin: ['SESSION_REQUIRED', 'ADMIN_REQUIRED'],
  backend: ['SIGNATURE_INVALID', 'SIGNATURE_EXPIRED', 'SIGNATURE_REPLAYED'],
  telegram: ['WEBHOOK_SECRET_INVALID'],
};

/**
 * Every code with which a route may refuse, in the order of their statuses: those that `route()` answers for any route
 * of this kind, and the contract's own.
 */
export function refusalsOf({
  access,
  host,
  method,
  params,
  query,
  body,
  data,
  limits,
  stepUp,
  errors = [],
}: Contract): ErrorCode[] {
  const codes: ErrorCode[] = [
    // Each step of lib/http/route.ts, in its order.
    ...(['EDGE_REQUIRED', host === 'app' ? 'NOT_FOUND' : 'HOST_UNKNOWN'] as const),
    ...(method === 'GET' ? [] : (['ORIGIN_FORBIDDEN'] as const)),
    ...OF_ACCESS[access],
    ...(['CONTENT_TYPE_UNSUPPORTED', 'BODY_INVALID'] as const),
    ...(body ? [] : (['BODY_UNEXPECTED'] as const)),
    ...(data || body || params || query ? (['INPUT_INVALID'] as const) : []),
    ...(limits ? (['RATE_LIMITED'] as const) : []),
    ...(stepUp ? (['STEP_UP_REQUIRED'] as const) : []),
    ...errors,
    ...(['INTERNAL', 'UNAVAILABLE', 'TIMEOUT'] as const),
  ];
  return [...new Set(codes)].sort((a, b) => ERROR_CODES[a].status - ERROR_CODES[b].status);
}
