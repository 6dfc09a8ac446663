import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import { type Change, type Facts, timeOf } from '../changes/change.ts';

/** In this order; what is done of a move is its `step`. */
export const STEPS = [
  'requested',
  'prepared',
  'account_created',
  'repo_imported',
  'blobs_complete',
  'freezing',
  'frozen',
  'carried_over',
  'published',
  'activated',
  'written',
] as const;
export type Step = (typeof STEPS)[number];
/** From `published` there is a way home, too (come-home.ts): decided; and all done but for the old account. */
export type StepHome = 'coming_home' | 'returned';

/** Stores that a step is done: whatever it waited for before, it does so no more. */
export async function stepDone(run: Run, change: Change, step: Step, progress: Facts = {}): Promise<void> {
  await advance(run.sql, run, change, { step, progress: { ...progress, stuck_since: null } });
  run.log.info('step of a move done', { step });
}

/** Whether the identity lives on the new PDS. */
export function isPublished({ step }: Pick<Change, 'step'>): boolean {
  return (
    step === ('coming_home' satisfies StepHome) || STEPS.indexOf(step as Step) >= STEPS.indexOf('published')
  );
}

/** The name in `progress` of: the PLC directory names the new PDS, though our row does not yet. */
export const NO_WAY_BACK = 'no_way_back';

/** The name in `progress` of: when the new PDS was asked to activate the account, as long as it has not answered. */
export const ACTIVATING = 'activating_at';

/** The name in `progress` of: something was written at the new PDS. */
export const NO_WAY_HOME = 'no_way_home';

/** The name in `progress` of: he was wanted home, and could not come. */
export const WANTED_IN_VAIN = 'wanted_in_vain';

/** Whether its member can take it back: before the new account is known to be active, and he may have written there. */
export function isRevocable({ step, progress }: Pick<Change, 'step' | 'progress'>): boolean {
  const at = STEPS.indexOf(step as Step);
  return at >= 0 && at <= STEPS.indexOf('published') && progress[NO_WAY_HOME] !== true;
}

/** Whether it is past being taken back as it is until `published`. */
export function isPastReturn(change: Pick<Change, 'step' | 'progress'>): boolean {
  return isPublished(change) || change.progress[NO_WAY_BACK] === true;
}

/** Whether the old PDS is still asked for anything: once all is carried over and there is no way back it may be gone. */
export function needsSource(change: Pick<Change, 'step' | 'progress'>): boolean {
  return !(isPastReturn(change) && STEPS.indexOf(change.step as Step) >= STEPS.indexOf('carried_over'));
}

/** Whether the account at the old PDS is, or may be, deactivated. */
export function isFrozen({ step }: Pick<Change, 'step'>): boolean {
  return (
    step === ('returned' satisfies StepHome) ||
    (STEPS.indexOf(step as Step) >= STEPS.indexOf('freezing') && !isPublished({ step }))
  );
}

/** Whether what is noted by this name has lasted for so long; from now on, if it is not noted yet. */
export async function hasLasted(run: Run, change: Change, name: string, ms: number): Promise<boolean> {
  const at = run.now();
  const since = timeOf(change, name);
  if (since) return at.getTime() - since.getTime() > ms;
  await advance(run.sql, run, change, { progress: { [name]: at.toISOString() } });
  return false;
}
