import { LeaseLost, updateIdentity } from '../../provisioning/identity.ts';
import { outcomeOf } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { isOfThePds } from '../changes/patience.ts';
import { Cancelled, isWantedHome } from './cancelled.ts';
import { hasLasted, isPastReturn, isPublished, NO_WAY_HOME } from './progress.ts';
import { FROZEN_MS, PATIENCE_MS } from './retreat.ts';
import type { Retreat } from './take-back.ts';

const STUCK = 'stuck_since';
const IS_BACK = 'Your identity is back on the PDS where it was, with all that you have written.';
const SILENT = {
  code: 'MOVE_TARGET_SILENT',
  message: `The PDS that you were moving to has not answered for an hour, just when your account there was to be activated. ${IS_BACK} Choose another one, or try again when it answers.`,
};
const UNWILLING = {
  code: 'MOVE_TARGET_UNWILLING',
  message: `The PDS that you were moving to has your data, but does not activate your account. ${IS_BACK} Choose another one, or ask its operator to look at its log and try again.`,
};

/**
 * Why a member is to come home although the document names the new PDS already; undefined when what went wrong is to be
 * tried again. A PDS that refuses has as long as he may be without an account, a silent one the patience that it always
 * has. Not once his account there is known to be active: he may have written there.
 */
export async function reasonToComeHome(
  run: Run,
  change: Change,
  error: unknown,
): Promise<Retreat | undefined> {
  const isNamed = change.step === 'published' || (!isPublished(change) && isPastReturn(change));
  if (!isNamed || error instanceof LeaseLost) return undefined;
  if (error instanceof Cancelled || (await isWantedHome(run.sql, change))) return { outcome: 'cancelled' };
  const { work, now, random } = run;
  const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
  if (outcome.kind === 'failed' && isOfThePds(error)) {
    return (await isStuck(run, change, FROZEN_MS)) ? failed(UNWILLING) : undefined;
  }
  const isSilent = outcome.kind === 'parked' && outcome.reason === 'provider_down';
  return isSilent && (await isStuck(run, change, PATIENCE_MS)) ? failed(SILENT) : undefined;
}

async function isStuck(run: Run, change: Change, ms: number): Promise<boolean> {
  // Should he come home, the old PDS must not read a document that somebody has kept.
  if (!timeOf(change, STUCK)) await updateIdentity(run.sql, run.identity, { document_settles_at: null });
  return (await hasLasted(run, change, STUCK, ms)) && change.progress[NO_WAY_HOME] !== true;
}

function failed(why: { code: string; message: string }): Retreat {
  return { outcome: 'failed', ...why };
}
