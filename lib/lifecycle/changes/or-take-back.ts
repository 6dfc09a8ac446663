import type { ErrorDetails } from '../../provisioning/identity.ts';
import { outcomeOf } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import type { Change } from './change.ts';
import { isWornOut } from './patience.ts';

const SILENT = {
  code: 'PDS_UNAVAILABLE',
  message: 'Your identity server has not answered for a day. Try again when it does.',
};

/**
 * Does what a change is for. Where its work would be given up now, because the reason is final, no attempt is left, or the
 * PDS has kept it waiting for a day, `takeBack` is told why and undoes what was done instead. What waits, or is tried again,
 * is thrown on.
 */
export async function orTakeBack(
  run: Run,
  change: Change,
  perform: () => Promise<void>,
  takeBack: (reason: ErrorDetails) => Promise<void>,
): Promise<void> {
  try {
    await perform();
  } catch (error) {
    const { work, now, random, log } = run;
    const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
    const isSilent = outcome.kind === 'parked' && (await isWornOut(run, change, error));
    const reason = isSilent ? SILENT : outcome.kind === 'failed' && outcome.error;
    if (!reason) throw error;
    log.warn('the change is taken back', { code: reason.code, error });
    await takeBack(reason);
  }
}
