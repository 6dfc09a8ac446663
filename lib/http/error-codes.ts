import { AppError, type AppErrorOptions } from '../app-error.ts';

/**
 * Every error code that the API answers with: its HTTP status, and what happened and what to do. An error with any
 * other code is our own trouble and leaves as INTERNAL or UNAVAILABLE: see answer.ts.
 */
export const ERROR_CODES = {
  INPUT_INVALID: {
    status: 400,
    message: 'Some fields are missing, unknown, too long or of the wrong form: correct `fields`.',
  },
  BODY_INVALID: {
    status: 400,
    message: 'The body must be one JSON object in UTF-8, of at most 16 KiB.',
  },
  BODY_UNEXPECTED: { status: 400, message: 'This route takes no body: leave it out.' },

  SESSION_REQUIRED: { status: 401, message: 'There is no living session: log in again.' },
  LOGIN_SIGNATURE_INVALID: {
    status: 401,
    message: 'Telegram has not signed this login: log in with Telegram again.',
  },
  LOGIN_EXPIRED: { status: 401, message: 'This login is older than 5 minutes: log in with Telegram again.' },
  LOGIN_FROM_THE_FUTURE: {
    status: 401,
    message: 'This login is dated in the future: log in with Telegram again.',
  },
  LOGIN_REPLAYED: { status: 401, message: 'This login was used before: log in with Telegram again.' },

  EDGE_REQUIRED: { status: 403, message: 'Requests come through the public address of this service only.' },
  ORIGIN_FORBIDDEN: {
    status: 403,
    message: 'Browsers may call this from our own pages and those of allowed origins only.',
  },
  ADMIN_REQUIRED: { status: 403, message: 'This route is for administrators.' },

  NOT_FOUND: { status: 404, message: 'There is nothing at this address: check the host name and the path.' },
  HOST_UNKNOWN: { status: 404, message: 'No identity is served at this host name.' },
  SESSION_NOT_FOUND: { status: 404, message: 'You have no such session (any more): look at the list.' },
  MEMBER_NOT_FOUND: { status: 404, message: 'There is no such member: he has to log in once.' },
  IDENTITY_NOT_FOUND: { status: 404, message: 'You have no identity yet: ask for one with retry-provision.' },

  IDENTITY_NOT_READY: {
    status: 409,
    message: 'Your identity is not active yet: wait until its status is "active".',
  },
  LOG_TOO_LARGE: {
    status: 409,
    message: 'Your log has more entries than one file holds: ask the administrators for it.',
  },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, message: 'Send the body as application/json in UTF-8.' },
  RATE_LIMITED: { status: 429, message: 'That was too often: wait as long as the retry-after header says.' },

  INTERNAL: {
    status: 500,
    message: 'Something is wrong on our side. Tell us the request id if it stays so.',
  },
  UNAVAILABLE: { status: 503, message: 'This does not work at the moment: try again in a few seconds.' },
  AUDIT_TOO_LARGE: {
    status: 503,
    message: 'The log has more entries than can be verified here in time: use `npm run audit:verify`.',
  },
  TIMEOUT: { status: 503, message: 'This took too long: look at the current state before you try again.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** An error of the documented list, with its status and its message. */
export function apiError(
  code: ErrorCode,
  options: Pick<AppErrorOptions, 'fields' | 'retryAfter' | 'cause'> = {},
): AppError {
  const { status, message } = ERROR_CODES[code];
  return new AppError(code, message, { ...options, status });
}
