import type { Contract } from '../http/contract.ts';
import { ERROR_CODES, type ErrorCode } from '../http/error-codes.ts';

/**
 * What API Gateway answers by itself, `{"message": …}`, with what a reader can do about it. It takes 10 MB, but a Lambda 6:
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
 */
export const GATEWAY_STATUSES: Readonly<Record<number, { message: string; summary: string }>> = {
  400: { message: 'Bad Request', summary: 'The address or a header is malformed: correct it.' },
  413: { message: 'Request Entity Too Large', summary: 'The body is over 6 MB: send less.' },
  429: {
    message: 'Too Many Requests',
    summary: 'The whole service is asked too often at the moment: try again in a few seconds.',
  },
  431: {
    message: 'Request Header Fields Too Large',
    summary: 'Address and headers are over 10 KB together: send fewer, or fewer cookies.',
  },
  500: {
    message: 'Internal Server Error',
    summary: 'The route ended without an answer: look at the current state before you try again.',
  },
  503: {
    message: 'Service Unavailable',
    summary: 'There was no answer in time: look at the current state before you try again.',
  },
};

type Kind = {
  /** Which routes these are, in words. */
  readonly routes: string;
  readonly are: (contract: Contract) => boolean;
  readonly refuseWith: readonly ErrorCode[];
};

/** What `route()` (lib/http/route.ts) answers for all routes of a kind that a reader can tell from what he sees. */
export const KINDS: readonly Kind[] = [
  {
    routes: 'All routes',
    are: () => true,
    refuseWith: [
      'EDGE_REQUIRED',
      'CONTENT_TYPE_UNSUPPORTED',
      'BODY_INVALID',
      'INTERNAL',
      'UNAVAILABLE',
      'TIMEOUT',
    ],
  },
  { routes: 'Routes without a body', are: ({ body }) => !body, refuseWith: ['BODY_UNEXPECTED'] },
  {
    routes: 'Routes that read or answer fields',
    are: ({ data, body, params, query }) => Boolean(data || body || params || query),
    refuseWith: ['INPUT_INVALID'],
  },
  {
    routes: 'Routes other than GET',
    are: ({ method }) => method !== 'GET',
    refuseWith: ['ORIGIN_FORBIDDEN'],
  },
  {
    routes: 'Routes for members or administrators',
    are: ({ access }) => access === 'member' || access === 'admin',
    refuseWith: ['SESSION_REQUIRED'],
  },
  {
    routes: 'Routes for administrators',
    are: ({ access }) => access === 'admin',
    refuseWith: ['ADMIN_REQUIRED'],
  },
  { routes: "Routes at the app's own host", are: ({ host }) => host === 'app', refuseWith: ['NOT_FOUND'] },
  {
    routes: "Routes at a member's host",
    are: ({ host }) => host === 'member',
    refuseWith: ['HOST_UNKNOWN'],
  },
];

/**
 * Every code with which a route may refuse, in the order of their statuses: those of its kinds, and its own.
 */
export function refusalsOf(contract: Contract): ErrorCode[] {
  const kinds = KINDS.filter(({ are }) => are(contract));
  const codes = [...kinds.flatMap(({ refuseWith }) => refuseWith), ...ownRefusalsOf(contract)];
  return [...new Set(codes)].sort((a, b) => ERROR_CODES[a].status - ERROR_CODES[b].status);
}

function ownRefusalsOf({ access, limits, stepUp, errors = [] }: Contract): readonly ErrorCode[] {
  return [
    ...(access === 'backend'
      ? (['SIGNATURE_INVALID', 'SIGNATURE_EXPIRED', 'SIGNATURE_REPLAYED'] as const)
      : []),
    ...(access === 'telegram' ? (['WEBHOOK_SECRET_INVALID'] as const) : []),
    ...(limits ? (['RATE_LIMITED'] as const) : []),
    ...(stepUp ? (['STEP_UP_REQUIRED'] as const) : []),
    ...errors,
  ];
}
