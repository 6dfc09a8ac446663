import { notifyOperators } from '../../operators/notify.ts';
import { LeaseLost } from '../../provisioning/identity.ts';
import { outcomeOf, Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';

/**
 * Of a change from which there is no way back: what would have its work given up waits, and operators hear of it. Throws
 * Parked then, and else what it was given.
 */
export async function goOnLater(
  { sql, work, now, random, log, identity }: Run,
  error: unknown,
  { reason, afterMs }: { reason: 'move_unfinished' | 'deletion_unfinished'; afterMs: number },
): Promise<never> {
  if (error instanceof LeaseLost) throw error;
  const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
  if (outcome.kind !== 'failed') throw error;
  log.warn('a change cannot be ended now', { reason, error });
  await notifyOperators(sql, { kind: reason, subject: identity.pnptv_uuid });
  throw new Parked(reason, new Date(now().getTime() + afterMs));
}
