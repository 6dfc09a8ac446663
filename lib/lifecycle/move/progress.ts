import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change, Facts } from '../changes/change.ts';

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

/** Stores that a step is done: whatever it waited for before, it does so no more. */
export async function stepDone(run: Run, change: Change, step: Step, progress: Facts = {}): Promise<void> {
  await advance(run.sql, run, change, { step, progress: { ...progress, stuck_since: null } });
  run.log.info('step of a move done', { step });
}

/** Whether the identity lives on the new PDS. */
export function isPublished({ step }: Pick<Change, 'step'>): boolean {
  return STEPS.indexOf(step as Step) >= STEPS.indexOf('published');
}

/** The name in `progress` of: the PLC directory names the new PDS, though our row does not yet. */
export const NO_WAY_BACK = 'no_way_back';

/** Whether there is only the way forward. */
export function isPastReturn(change: Pick<Change, 'step' | 'progress'>): boolean {
  return isPublished(change) || change.progress[NO_WAY_BACK] === true;
}

/** Whether the old PDS is still asked for anything: once all is carried over and there is no way back it may be gone. */
export function needsSource(change: Pick<Change, 'step' | 'progress'>): boolean {
  return !(isPastReturn(change) && STEPS.indexOf(change.step as Step) >= STEPS.indexOf('carried_over'));
}

/** Whether the account at the old PDS is, or may be, deactivated. */
export function isFrozen({ step }: Pick<Change, 'step'>): boolean {
  return STEPS.indexOf(step as Step) >= STEPS.indexOf('freezing') && !isPublished({ step });
}

/** A time that was noted in `progress`. */
export function timeOf({ progress }: Pick<Change, 'progress'>, name: string): Date | undefined {
  const noted = progress[name];
  return typeof noted === 'string' ? new Date(noted) : undefined;
}
