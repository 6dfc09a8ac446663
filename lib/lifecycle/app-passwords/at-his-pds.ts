import type { Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { pdsUnavailable } from '../../pds/unavailable.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { inSession, type SessionDeps } from '../custody/in-session.ts';
import type { Owner } from './owner.ts';

export type AppPasswordDeps = SessionDeps & { sql: Sql };

/**
 * `inSession`, for a member who waits for it: only such a session may deal with app passwords. Throws
 * `APP_PASSWORDS_REFUSED` (409) when the PDS refused, `UNAVAILABLE` (503) when it did not say, and what `work` throws.
 */
export async function atHisPds<T>(
  deps: AppPasswordDeps,
  owner: Owner,
  work: Parameters<typeof inSession<T>>[2],
): Promise<T> {
  try {
    return await inSession(deps, owner, work);
  } catch (error) {
    throw toldOf(error, deps.now());
  }
}

/** What the member is told of an error of his PDS; any other error is itself. */
export function toldOf(cause: unknown, now: Date): unknown {
  if (isRejection(cause)) return apiError('APP_PASSWORDS_REFUSED', { cause });
  return cause instanceof XrpcError ? pdsUnavailable(cause, now) : cause;
}
