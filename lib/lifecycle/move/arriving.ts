import type { Queryable } from '../../db/connect.ts';
import type { Step, StepHome } from './progress.ts';

const ARRIVING = ['published', 'coming_home', 'activated', 'written'] satisfies (Step | StepHome)[];

/**
 * Of a mapping row `m`, whether it names an account that its member is still moving into, with the password of that one. As
 * long as he may yet come home, what he wrote there would stay behind: so he is not shown it.
 */
export function isArriving(sql: Queryable) {
  return sql`EXISTS (
    SELECT FROM pds_changes c
    WHERE c.user_id = m.user_id AND c.kind = 'move' AND c.ended_at IS NULL AND c.step IN ${sql(ARRIVING)})`;
}
