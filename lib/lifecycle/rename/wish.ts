import type { Handle } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { lookUpHandle, MOST_GIVEN_UP } from '../../identity/change-handle.ts';
import { isMemberLabel } from '../../identity/handle.ts';
import { isReserved } from '../../identity/reserved.ts';

/** Where handles are given out, and which first labels the operator keeps for himself. */
export type HandleRules = { domain: string; reserved: readonly string[] };

/**
 * The handle that a member means by `alice2`, `alice2.pnptv.app` or `@alice2.pnptv.app`, in whatever case: one label
 * under our domain. Throws `HANDLE_INVALID` and `HANDLE_RESERVED` (400).
 */
export function readHandle(wish: string, { domain, reserved }: HandleRules): Handle {
  const suffix = `.${domain.toLowerCase()}`;
  const name = wish.replace(/^@/, '').toLowerCase();
  const label = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
  const fields = { fields: ['handle'] };
  if (isReserved(label, reserved)) throw apiError('HANDLE_RESERVED', fields);
  if (!isMemberLabel(label, reserved)) throw apiError('HANDLE_INVALID', fields);
  return `${label}${suffix}` as Handle;
}

/**
 * Throws when a member cannot have this handle now: `HANDLE_UNCHANGED`, `HANDLE_TAKEN`, `HANDLE_GIVEN_UP`,
 * `HANDLES_TOO_MANY` (409). Whoever is faster gets it all the same: the worker looks again.
 */
export async function expectObtainable(
  sql: Queryable,
  { userId, handle }: { userId: string; handle: Handle },
): Promise<void> {
  const { standing, givenUp } = await lookUpHandle(sql, { userId, handle });
  if (standing === 'his') throw apiError('HANDLE_UNCHANGED');
  if (standing === 'taken') throw apiError('HANDLE_TAKEN');
  if (standing === 'given_up') throw apiError('HANDLE_GIVEN_UP');
  if (givenUp >= MOST_GIVEN_UP) throw apiError('HANDLES_TOO_MANY');
}
