import type { Queryable } from '../../db/connect.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { ChangeKind } from './change.ts';

/**
 * How many days a change may be open once it is due: longer than all that its kind waits for before it ends by itself.
 * Late rotations have an alarm of their own (rotate/rotate-due.ts).
 */
const MAY_TAKE_DAYS: Readonly<Record<Exclude<ChangeKind, 'rotate_keys'>, number>> = {
  rename: 2,
  revoke: 2,
  come_back: 2,
  join: 2,
  move: 7,
  delete: 9,
  hand_over: 17,
};

/**
 * Counts the changes that are due and not over, how old the oldest of them is, and how many are overdue: nothing of what
 * ends a change by itself has ended those, and somebody has to look.
 */
export async function countOpenChanges(
  sql: Queryable,
  metrics: Pick<Metrics, 'count' | 'took'>,
  now: Date,
): Promise<{ open: number; overdue: number }> {
  const [{ open, overdue, oldest }] = await sql<[{ open: number; overdue: number; oldest: Date | null }]>`
    SELECT count(*) AS open, min(due_at) AS oldest,
      count(*) FILTER (
        WHERE due_at < ${now}::timestamptz - (${sql.json(MAY_TAKE_DAYS)}::jsonb->>kind)::int * interval '1 day') AS overdue
    FROM pds_changes WHERE ended_at IS NULL AND due_at <= ${now}`;
  metrics.count('ChangesOpen', open);
  if (overdue > 0) metrics.count('ChangesOverdue', overdue);
  metrics.took('OldestOpenChange', oldest ? now.getTime() - oldest.getTime() : 0);
  return { open, overdue };
}
