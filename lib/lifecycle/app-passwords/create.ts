import { expectStepUp, type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import { apiError } from '../../http/error-codes.ts';
import {
  type AppPassword,
  createAppPassword as askFor,
  listAppPasswords,
} from '../../pds/client/app-passwords.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { expectNoChangeBegun } from '../changes/request.ts';
import { type AppPasswordDeps, atHisPds, toldOf } from './at-his-pds.ts';
import { noteOn, readOwner } from './owner.ts';

/** How many a member has at most. A PDS itself sets no limit. */
export const MOST_APP_PASSWORDS = 20;

/**
 * Has the PDS make an app password and hands it on, once; nothing of ours stores it. The step-up is used up, and the
 * intent is in the audit log, right before the PDS is asked for it: what is refused by then can be tried again.
 *
 * Throws `STEP_UP_REQUIRED`, `IDENTITY_NOT_READY`, `CHANGE_IN_PROGRESS`, `APP_PASSWORD_EXISTS`, `APP_PASSWORD_LIMIT`,
 * what `atHisPds` throws, and `APP_PASSWORD_UNCERTAIN` (503) when the answer got lost, or could not be written down: it
 * may be there, and nobody knows it.
 */
export async function createAppPassword(
  deps: AppPasswordDeps,
  { stepUp, name, privileged }: { stepUp: StepUpNeed; name: string; privileged: boolean },
): Promise<AppPassword & { password: string }> {
  const { sql, now } = deps;
  await expectStepUp(sql, stepUp);
  const owner = await readOwner(sql, stepUp.userId, ['active']);
  // While it is rotated or moved, the password that is stored may not be the account's.
  await expectNoChangeBegun(sql, stepUp.userId, now());
  const note = noteOn(owner, 'app_password_created', { name, privileged });
  return atHisPds(deps, owner, async (pds, accessJwt) => {
    const present = await listAppPasswords(pds, accessJwt);
    if (present.some((one) => one.name === name)) throw apiError('APP_PASSWORD_EXISTS');
    if (present.length >= MOST_APP_PASSWORDS) throw apiError('APP_PASSWORD_LIMIT');
    await sql.begin(async (tx) => {
      await useStepUp(tx, stepUp);
      await expectNoChangeBegun(tx, stepUp.userId, now());
      await note.pending(tx);
    });
    let isMade = false;
    try {
      const made = await askFor(pds, accessJwt, { name, privileged });
      isMade = true;
      await sql.begin(note.success);
      return made;
    } catch (cause) {
      const uncertain = isMade || isUncertain(cause);
      const error = uncertain ? apiError('APP_PASSWORD_UNCERTAIN', { cause }) : toldOf(cause, now());
      // Where the log does not take that either, the intent stands in it, and the member has to know.
      await sql.begin((tx) => note.failed(tx, error)).catch(() => {});
      throw error;
    }
  });
}

/** Whether the PDS may have made it: it was reached, and did not say no. */
function isUncertain(cause: unknown): boolean {
  return cause instanceof XrpcError && !['rejected', 'unreachable', 'throttled'].includes(cause.fault);
}
