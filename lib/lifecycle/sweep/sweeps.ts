import type { Queryable, Sql, Transaction } from '../../db/connect.ts';

/** What a sweep has found out about a provider, for all of its members. */
export type ProviderFinding = {
  /** `down`: it does not answer, inside or in public. `busy`: it asked us to wait (429), which says nothing. */
  state: 'well' | 'down' | 'busy';
  /**
   * What its list of accounts is worth. `complete`: whoever is not in it is not there. `broken`: it says nothing about
   * those not seen. `foreign`: most accounts are other people's, or there is no list: ours are asked for one by one.
   */
  listing: 'complete' | 'broken' | 'foreign';
  /** In how many sweeps in a row it was down, this one included. */
  failures: number;
};
export type Findings = { [providerId: string]: ProviderFinding };
export type Begun = { sweep: Sweep; previous: Findings };
export type Sweep = { id: number; started_at: Date; findings: Findings };

/** A planner that says nothing for that long is dead; Lambda begins it again after a minute, which must not be too soon. */
const LEASE_MS = 50_000;
/** What a planner began that died, another one goes on with, as long as what it saw is fresh. */
const RESUME_MS = 30 * 60_000;
/** What is left of a sweep when the next one begins is the next one's. */
export const SWEEP_MS = 55 * 60_000;
const KEPT = '7 days';

/** Another planner has the sweep now: stop at once. */
export class SweepLost extends Error {
  override readonly name = 'SweepLost';
}

/**
 * Begins a sweep, or goes on with one whose planner died; members count each failure once a sweep, so nothing of it
 * counts twice. Undefined while another planner is at it. `previous`: what the last one found whose planning came to its
 * end, so that no failure is skipped in the count and operators are told of the third.
 */
export async function beginSweep(sql: Sql, now: Date): Promise<Begun | undefined> {
  return sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(hashtextextended('health sweep', 0))`;
    await tx`DELETE FROM health_sweeps WHERE started_at < ${now}::timestamptz - ${KEPT}::interval`;
    const [last] = await tx<(Sweep & { planned_at: Date | null; leased_until: Date })[]>`
      SELECT id, started_at, planned_at, leased_until, findings FROM health_sweeps ORDER BY id DESC LIMIT 1`;
    const [ended] = await tx<Pick<Sweep, 'findings'>[]>`
      SELECT findings FROM health_sweeps WHERE planned_at IS NOT NULL ORDER BY id DESC LIMIT 1`;
    const previous = ended?.findings ?? {};
    const until = new Date(now.getTime() + LEASE_MS);
    if (last && last.planned_at === null) {
      if (last.leased_until > now) return undefined;
      if (last.started_at.getTime() > now.getTime() - RESUME_MS) {
        await tx`UPDATE health_sweeps SET leased_until = ${until} WHERE id = ${last.id}`;
        return { sweep: last, previous };
      }
    }
    const [sweep] = await tx<[Sweep]>`
      INSERT INTO health_sweeps (started_at, leased_until) VALUES (${now}, ${until})
      RETURNING id, started_at, findings`;
    return { sweep, previous };
  });
}

/** Says that the planner lives. Throws SweepLost when another one has taken over or a newer sweep has begun. */
export async function keepSweep(sql: Queryable, { id }: Sweep, now: Date): Promise<void> {
  const kept = await sql`
    UPDATE health_sweeps SET leased_until = ${new Date(now.getTime() + LEASE_MS)}
    WHERE id = ${id} AND planned_at IS NULL AND id = (SELECT max(id) FROM health_sweeps)`;
  if (kept.count === 0) throw new SweepLost();
}

/** Says that the planner breaks off: whoever comes next may go on at once. */
export async function leaveSweep(sql: Queryable, { id }: Sweep, now: Date): Promise<void> {
  await sql`UPDATE health_sweeps SET leased_until = ${now} WHERE id = ${id} AND planned_at IS NULL`;
}

/** Stores what was found out, for the workers to read. */
export async function storeFindings(sql: Queryable, { id }: Sweep, findings: Findings): Promise<void> {
  await sql`UPDATE health_sweeps SET findings = ${sql.json(findings)} WHERE id = ${id}`;
}

/** Ends the planning; true for the one who did. */
export async function endPlanning(tx: Transaction, { id }: Sweep, now: Date): Promise<boolean> {
  const ended = await tx`
    UPDATE health_sweeps SET planned_at = ${now} WHERE id = ${id} AND planned_at IS NULL`;
  return ended.count > 0;
}

/** The sweep that a message names, as long as it is the newest and its hour is not over. */
export async function readSweep(sql: Queryable, id: number, now: Date): Promise<Sweep | undefined> {
  const [sweep] = await sql<Sweep[]>`
    SELECT id, started_at, findings FROM health_sweeps
    WHERE id = ${id} AND id = (SELECT max(id) FROM health_sweeps)
      AND started_at > ${new Date(now.getTime() - SWEEP_MS)}`;
  return sweep;
}
