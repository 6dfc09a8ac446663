import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql } from '../../db/connect.ts';
import { type Requested, requestChange } from '../changes/request.ts';

/**
 * Has a member's keys rotated now because he wants it, in one transaction with his second factor, which is used up. Throws
 * `STEP_UP_REQUIRED` (403), `IDENTITY_NOT_READY` and `CHANGE_IN_PROGRESS` (409).
 */
export async function requestRotation(
  { sql, now }: { sql: Sql; now: () => Date },
  stepUp: StepUpNeed,
): Promise<Requested> {
  const { userId } = stepUp;
  return sql.begin(async (tx) => {
    await useStepUp(tx, stepUp);
    return requestChange(tx, { userId, kind: 'rotate_keys', by: userId, now: now() });
  });
}
