import type { Sql } from '../../db/connect.ts';
import { freeHandles } from '../../identity/change-handle.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { removeExpiredExport, removeRemains } from '../export/remove-expired.ts';
import type { Storage } from '../export/storage.ts';
import { destroySecretsOfWhoLeft } from '../hand-over/destroy-secrets.ts';
import { expireJoins } from '../join/expire.ts';
import { BATCH, deleteBatch } from './delete-batch.ts';
import { dropHealthPartition, makeHealthPartitions } from './health-partitions.ts';
import { RULES } from './rules.ts';
import { failStaleWork, forgetStaleWork, markStaleWork } from './stale-work.ts';

export type CleanUpDeps = {
  sql: Sql;
  provisioningEnabled: boolean;
  /** Where exports lie. */
  exports: Storage;
  /** Milliseconds, of a clock that only goes on. */
  now: () => number;
  log: Log;
  metrics: Pick<Metrics, 'count'>;
};
/** How much of what was done. */
export type CleanedUp = Record<string, number>;

/** One thing to do: as often as it says that it did `full` much. */
type Task = { what: string; full: number; run: () => Promise<number> };

/**
 * Does what has its time: fails work that nobody did, makes and drops partitions, deletes what is over (rules.ts). Each
 * step is a transaction of its own, so a run that breaks off, or meets another, loses nothing: what is left is for the
 * next hour. Begins no step after `withinMs`. A task that fails stops no other; then the first error is thrown at the end.
 */
export async function cleanUp(deps: CleanUpDeps, { withinMs }: { withinMs: number }): Promise<CleanedUp> {
  const { now, log, metrics } = deps;
  const deadline = now() + withinMs;
  const done: CleanedUp = {};
  const errors: unknown[] = [];
  const unfinished: string[] = [];
  for (const { what, full, run } of tasksOf(deps)) {
    let count = full;
    try {
      while (count >= full && now() < deadline) {
        count = await run();
        done[what] = (done[what] ?? 0) + count;
      }
      if (count >= full) unfinished.push(what);
    } catch (error) {
      log.error('clean-up failed', { what, error });
      errors.push(error);
    }
  }
  for (const [what, count] of Object.entries(done)) if (count > 0) metrics.count(metricOf(what), count);
  log.info('cleaned up', { ...done, ...(unfinished.length > 0 && { unfinished }) });
  if (errors.length > 0) throw errors[0];
  return done;
}

function tasksOf({ sql, log, provisioningEnabled, exports }: CleanUpDeps): Task[] {
  const stale: Task[] = provisioningEnabled
    ? [
        { what: 'work_marked_stale', full: BATCH, run: () => markStaleWork(sql) },
        { what: 'work_failed_stale', full: 1, run: () => failStaleWork(sql) },
      ]
    : [{ what: 'work_marked_stale', full: 1, run: () => forgetStaleWork(sql).then(() => 0) }];
  return [
    ...stale,
    {
      what: 'health_days_made',
      full: Number.POSITIVE_INFINITY,
      run: () => makeHealthPartitions({ sql, log }),
    },
    { what: 'health_days_dropped', full: 1, run: () => dropHealthPartition({ sql, log }) },
    ...RULES.map((rule) => ({ what: rule.what, full: BATCH, run: () => deleteBatch(sql, rule) })),
    { what: 'leavers_without_secrets', full: 1, run: () => destroySecretsOfWhoLeft(sql) },
    { what: 'joins_expired', full: Number.POSITIVE_INFINITY, run: () => sql.begin(expireJoins) },
    { what: 'handles_freed', full: BATCH, run: () => freeHandles(sql, BATCH) },
    { what: 'exports', full: 1, run: () => removeExpiredExport(sql) },
    { what: 'archives', full: 1, run: () => removeRemains(sql, exports) },
  ];
}

/** `completed_work` is counted as `CleanedUpCompletedWork`. */
function metricOf(what: string): string {
  return `CleanedUp${what.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())}`;
}
