import { LeaseLost } from '../../provisioning/identity.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';

/**
 * Keeps the member for this worker for `forMs` more, by default as long as any claim lasts: before every request to
 * others. A dead worker's change is so resumed soon after, however long a living one takes. Throws LeaseLost when another
 * worker has the member, and Parked when this run's time would not do: the next run goes on.
 */
export async function hold(run: Run, forMs = run.times.lease * 1000): Promise<void> {
  const { sql, identity, work, now, startedAt, times } = run;
  const at = now();
  if (at.getTime() + Math.min(forMs, times.http * 1000) > startedAt.getTime() + times.change * 1000) {
    throw new Parked('out_of_time', at);
  }
  const until = new Date(at.getTime() + Math.max(forMs, times.lease * 1000));
  await sql.begin(async (tx) => {
    // The queue row before the mapping row, as everywhere.
    await tx`UPDATE pds_provisioning_queue SET next_retry = ${until} WHERE id = ${work.queueId} AND status = 'processing'`;
    const held = await tx`
      UPDATE user_pds_mapping SET lease_until = ${until}
      WHERE user_id = ${identity.user_id} AND epoch = ${identity.epoch}`;
    if (held.count === 0) throw new LeaseLost();
  });
  identity.lease_until = until;
}

/** The same before a single request, with nothing to write as long as most of the claim is left. */
export async function holdOn(run: Run): Promise<void> {
  const { identity, now, startedAt, times } = run;
  const left = (identity.lease_until?.getTime() ?? 0) - now().getTime();
  const isFresh = left > (times.lease / 2 + times.http) * 1000 && identity.lease_until !== null;
  const isInTime = now().getTime() + times.http * 1000 <= startedAt.getTime() + times.change * 1000;
  if (!(isFresh && isInTime)) await hold(run);
}
