import type { Queryable } from '../db/connect.ts';
import { type ProviderState, readProviderState } from './providers.ts';

/** Failures in a row, of any members, after which nobody asks a provider any more. */
export const FAILURES_TO_OPEN = 5;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 30_000;

/** Whether a provider may be asked now; if not, why and when to come back. */
export type Admission =
  | { admitted: true }
  | { admitted: false; reason: 'provider_down' | 'provider_busy'; until: Date };

/**
 * Asks the circuit breaker (Nygard, Release It!, "Circuit Breaker"). When an open one's pause is over, one caller is
 * let in as the probe, and the others wait for what it finds; it has `probeMs` for that.
 * Costs no query as long as the provider is well.
 */
export async function admit(
  sql: Queryable,
  state: ProviderState,
  { now, probeMs }: { now: Date; probeMs: number },
): Promise<Admission> {
  if (state.throttled_until && state.throttled_until > now) {
    return { admitted: false, reason: 'provider_busy', until: state.throttled_until };
  }
  if (state.breaker_state === 'closed') return { admitted: true };
  const probeEnds = new Date(now.getTime() + probeMs);
  const [probe] = await sql`
    UPDATE pds_providers SET breaker_state = 'half_open', breaker_until = ${probeEnds}
    WHERE id = ${state.id} AND breaker_state <> 'closed' AND breaker_until <= ${now}
    RETURNING id`;
  if (probe) return { admitted: true };
  const waitUntil = state.breaker_until && state.breaker_until > now ? state.breaker_until : probeEnds;
  return { admitted: false, reason: 'provider_down', until: waitUntil };
}

/** Whether `admit` would let somebody in now, as the probe of an open breaker, too. Takes nothing and asks nobody. */
export function wouldAdmit(state: ProviderState, now: Date): boolean {
  if (state.throttled_until && state.throttled_until > now) return false;
  return state.breaker_state === 'closed' || (state.breaker_until !== null && state.breaker_until <= now);
}

/**
 * Counts one failure of the provider itself. From the fifth in a row on, and when the probe fails, the breaker opens
 * for 5 s, doubling up to 30 s. Returns the end of that pause, or undefined while the breaker stays closed.
 */
export async function noteFailure(sql: Queryable, id: string, now: Date): Promise<Date | undefined> {
  const [row] = await sql<{ breaker_state: string; breaker_until: Date | null }[]>`
    UPDATE pds_providers SET
      consecutive_failures = consecutive_failures + 1,
      breaker_state = CASE WHEN consecutive_failures + 1 >= ${FAILURES_TO_OPEN} THEN 'open' ELSE breaker_state END,
      breaker_until = CASE WHEN consecutive_failures + 1 >= ${FAILURES_TO_OPEN} THEN ${now}::timestamptz + least(
        ${LONGEST_PAUSE_MS}::float8,
        ${FIRST_PAUSE_MS}::float8 * 2.0 ^ least(consecutive_failures + 1 - ${FAILURES_TO_OPEN}, 10)
      ) * interval '1 millisecond' ELSE breaker_until END
    -- Failures that were under way when it opened neither count nor lengthen the pause.
    WHERE id = ${id} AND NOT (breaker_state = 'open' AND breaker_until > ${now})
    RETURNING breaker_state, breaker_until`;
  if (!row) return (await readProviderState(sql, id)).breaker_until ?? undefined;
  return row?.breaker_state === 'open' ? (row.breaker_until ?? undefined) : undefined;
}

/** Closes the breaker after a success; writes only if there is something to forget. True when it was not closed. */
export async function noteSuccess(sql: Queryable, state: ProviderState): Promise<boolean> {
  if (state.breaker_state === 'closed' && state.consecutive_failures === 0) return false;
  await sql`
    UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL, consecutive_failures = 0
    WHERE id = ${state.id}`;
  return state.breaker_state !== 'closed';
}

/** Keeps everybody away from a provider that said 429, until the time it named. */
export async function noteThrottled(sql: Queryable, id: string, until: Date): Promise<void> {
  await sql`
    UPDATE pds_providers SET throttled_until = ${until}
    WHERE id = ${id} AND (throttled_until IS NULL OR throttled_until < ${until})`;
}
