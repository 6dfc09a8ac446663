import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql } from '../../db/connect.ts';
import { type ChangeRequest, type Requested, requestChange } from './request.ts';

/**
 * A change that a member asks for with his second factor: in one transaction it is written down and the step-up used
 * up. Throws `STEP_UP_REQUIRED` (403), and what `requestChange` throws: then the step-up is still good.
 */
export function askForChange(
  { sql, now }: { sql: Sql; now: () => Date },
  stepUp: StepUpNeed,
  change: Pick<ChangeRequest, 'kind' | 'wish' | 'of' | 'dueAt'>,
): Promise<Requested> {
  const { userId } = stepUp;
  return sql.begin(async (tx) => {
    await useStepUp(tx, stepUp);
    return requestChange(tx, { ...change, userId, by: userId, now: now() });
  });
}
