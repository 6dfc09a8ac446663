import type { Transaction } from '../../db/connect.ts';
import { type Group, isBeingChecked, membersOf, type SweepDeps } from './group.ts';
import { takeRequests } from './request-budget.ts';

/** What a whole check asks of a PDS. */
const REQUESTS_A_CHECK = 5;

type Deps = Pick<SweepDeps, 'sql' | 'now'>;

/**
 * Asks for a whole check of every member who is in doubt, as far as the provider's budget goes; the relay sends it, and
 * verify.ts decides. In doubt is who is not in a complete list and was not known to be inaccessible, and who is in it and was not well.
 * True when some are left for later.
 */
export async function askAboutDoubtful({ sql, now }: Deps, group: Group): Promise<boolean> {
  const { sweep, home } = group;
  const isMissing =
    sweep.findings[home.id]?.listing === 'complete'
      ? sql`m.verification_status <> 'inaccessible'`
      : sql`false`;
  const doubtful = await sql<{ id: number }[]>`
    SELECT id FROM user_pds_mapping m
    WHERE ${membersOf(sql, group, now())} AND NOT ${isBeingChecked(sql)}
      AND CASE WHEN m.seen_in_sweep >= ${sweep.id}
        THEN m.verification_status <> 'accessible' OR m.health_problem IS NOT NULL ELSE ${isMissing} END
    ORDER BY last_verified_at NULLS FIRST`;
  const ids = doubtful.map(({ id }) => id);
  return askForChecks({ sql, now }, group, ids);
}

/** Asks for a whole check of these members, as far as the budget goes; true when some are left for later. */
export async function askForChecks(
  { sql, now }: Deps,
  { home }: Group,
  ids: readonly number[],
): Promise<boolean> {
  if (ids.length === 0) return false;
  const granted = await takeRequests(sql, home.id, { wanted: REQUESTS_A_CHECK * ids.length, now: now() });
  const within = ids.slice(0, Math.floor(granted / REQUESTS_A_CHECK));
  await sql.begin((tx) => enqueueChecks(tx, within, now()));
  return within.length < ids.length;
}

/** Writes the checks down, in the caller's transaction: one that is open already is enough. */
export async function enqueueChecks(tx: Transaction, ids: readonly number[], now: Date): Promise<void> {
  if (ids.length === 0) return;
  await tx`
    INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry)
    SELECT user_id, pnptv_uuid, 'verify', ${now} FROM user_pds_mapping WHERE id = ANY(${ids}::bigint[]) ORDER BY id
    ON CONFLICT (user_id, action) WHERE status IN ('pending', 'processing') DO NOTHING`;
}
