import type { Queryable } from '../../db/connect.ts';

/**
 * A PDS allows an address 3,000 requests in five minutes; sweeps take a fifth of them at most and leave the others to
 * logins and to people. @NOTE `@atproto/pds`, rate limiter "global-ip".
 */
const BURST = 600;
const PER_SECOND = BURST / 300;
export const REQUESTS_AN_HOUR = PER_SECOND * 3600;

/**
 * Takes requests to a provider out of the bucket that all planners and workers share; returns how many of `wanted` it
 * may make. Those that it then does not make are lost, so ask for what is at hand.
 */
export async function takeRequests(
  sql: Queryable,
  providerId: string,
  { wanted, now }: { wanted: number; now: Date },
): Promise<number> {
  const [bucket] = await sql<{ granted: number }[]>`
    WITH bucket AS (
      SELECT id, least(${BURST}::float8, coalesce(sweep_tokens, ${BURST}::float8)
        + greatest(0, extract(epoch FROM ${now}::timestamptz - coalesce(sweep_tokens_at, ${now}::timestamptz)))::float8
        * ${PER_SECOND}::float8) AS tokens
      FROM pds_providers WHERE id = ${providerId} FOR NO KEY UPDATE
    )
    UPDATE pds_providers AS p
    SET sweep_tokens = tokens - least(${wanted}::float8, floor(tokens)),
      sweep_tokens_at = greatest(${now}::timestamptz, sweep_tokens_at)
    FROM bucket WHERE p.id = bucket.id
    RETURNING least(${wanted}::float8, floor(tokens))::int AS granted`;
  return bucket?.granted ?? 0;
}
