import type { ErrorDetails } from '../../provisioning/identity.ts';
import { outcomeOf } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';

/**
 * Does what a change is for. Where its work would be given up now, because the reason is final or no attempt is left,
 * `takeBack` is told why and undoes what was done instead. What waits, or is tried again, is thrown on.
 */
export async function orTakeBack(
  run: Run,
  perform: () => Promise<void>,
  takeBack: (reason: ErrorDetails) => Promise<void>,
): Promise<void> {
  try {
    await perform();
  } catch (error) {
    const { work, now, random, log } = run;
    const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
    if (outcome.kind !== 'failed') throw error;
    log.warn('the change is taken back', { code: outcome.error.code, error });
    await takeBack(outcome.error);
  }
}
