import { expectStepUp, type StepUpNeed } from '../../auth/step-up.ts';
import type { Handle } from '../../brands.ts';
import type { Sql } from '../../db/connect.ts';
import { askForChange } from '../changes/ask.ts';
import { type Change, readOpenChange } from '../changes/change.ts';
import type { Requested } from '../changes/request.ts';
import { expectObtainable, type HandleRules, readHandle } from './wish.ts';

type Deps = { sql: Sql; now: () => Date; rules: HandleRules };

/**
 * Asks for another handle; a worker sees to it. Throws `STEP_UP_REQUIRED`, what `readHandle` and `expectObtainable`
 * throw, and what `requestChange` does: then nothing was changed, and the step-up is still good.
 */
export async function askForHandle(
  { sql, now, rules }: Deps,
  { wish, stepUp }: { wish: string; stepUp: StepUpNeed },
): Promise<Requested & { handle: Handle }> {
  await expectStepUp(sql, stepUp);
  const { userId } = stepUp;
  const handle = readHandle(wish, rules);
  if (!isWishOf(await readOpenChange(sql, userId), handle)) await expectObtainable(sql, { userId, handle });
  return { handle, ...(await askForChange({ sql, now }, stepUp, { kind: 'rename', wish: { handle } })) };
}

/** Under way already: the name is his by now. */
function isWishOf(change: Change | undefined, handle: Handle): boolean {
  return change?.kind === 'rename' && change.wish.handle === handle;
}
