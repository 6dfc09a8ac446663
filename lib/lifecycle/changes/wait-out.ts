import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';

/**
 * Throws Parked as long as a request may still be at work whose answer nobody saw: before what it may do is undone. `sentAt`
 * is when it left (RFC 3339); of none that did there is nothing to wait for.
 */
export function waitOut({ now, times }: Run, sentAt: unknown): void {
  if (typeof sentAt !== 'string') return;
  const over = new Date(Date.parse(sentAt) + times.quarantine * 1000);
  if (now() < over) throw new Parked('outcome_unknown', over);
}
