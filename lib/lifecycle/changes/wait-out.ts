import { Parked } from '../../provisioning/queue/outcome.ts';
import type { ParkedReason } from '../../provisioning/queue/settle.ts';
import type { Run } from '../../provisioning/run.ts';

/**
 * Throws Parked as long as what left at `sentAt`, and was not seen answered, may still be at work: before what it may do is
 * undone, or built upon. Of nothing that left there is nothing to wait for.
 */
export function waitOut(
  { now, times }: Run,
  sentAt: Date | undefined,
  reason: ParkedReason = 'outcome_unknown',
): void {
  if (sentAt === undefined) return;
  const over = new Date(sentAt.getTime() + times.quarantine * 1000);
  if (now() < over) throw new Parked(reason, over);
}
