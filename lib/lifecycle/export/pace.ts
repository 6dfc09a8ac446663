import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { hold } from '../changes/hold.ts';

/** Others who wait for the member come in between. */
const LET_OTHERS_MS = 3_000;

/**
 * Keeps the member for this worker, for which it is called before every request and between pieces of a long answer; the
 * database is asked a few times a minute only. An export of any length gives him free every minute: throws Parked, also
 * as `hold` does.
 */
export function keepPace(run: Run): { pace: () => Promise<void>; between: () => Promise<void> } {
  const { now, times, startedAt } = run;
  let heldAt = Number.NEGATIVE_INFINITY;
  const pace = async () => {
    if (now().getTime() - heldAt < (times.http * 1000) / 3) return;
    await hold(run);
    heldAt = now().getTime();
  };
  const between = async () => {
    if (now().getTime() - startedAt.getTime() > times.worker * 1000)
      throw new Parked('out_of_time', new Date(now().getTime() + LET_OTHERS_MS));
    await pace();
  };
  return { pace, between };
}
