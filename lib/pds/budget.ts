import type { Queryable } from '../db/connect.ts';

/** A PDS counts 100 account creations in five minutes for an address, failed ones too; a tenth is left to others. */
const BURST = 90;
const PER_SECOND = BURST / 300;

/**
 * Takes one account creation out of the provider's token bucket, shared by all workers, so that a burst of logins
 * does not run into its rate limit; the first `ahead` of them belong to others. Undefined when there was one;
 * otherwise when there will be.
 */
export async function takeCreation(
  sql: Queryable,
  providerId: string,
  { now, ahead = 0 }: { now: Date; ahead?: number },
): Promise<Date | undefined> {
  const [taken] = await sql`
    UPDATE pds_providers SET budget_at = ${now}, budget_tokens = ${available(sql, now)} - 1
    WHERE id = ${providerId} AND ${available(sql, now)} >= ${Math.min(ahead + 1, BURST)}::float8
    RETURNING id`;
  if (taken) return undefined;
  const [bucket] = await sql<{ tokens: number }[]>`
    SELECT ${available(sql, now)} AS tokens FROM pds_providers WHERE id = ${providerId}`;
  const missing = Math.max(0, ahead + 1 - (bucket?.tokens ?? 0));
  return new Date(now.getTime() + (missing / PER_SECOND) * 1000);
}

/** What is in the bucket now; clocks that differ a little never take anything out of it. */
function available(sql: Queryable, now: Date) {
  return sql`least(${BURST}::float8, coalesce(budget_tokens, ${BURST}::float8)
    + greatest(0, extract(epoch FROM ${now}::timestamptz - coalesce(budget_at, ${now}::timestamptz)))::float8
    * ${PER_SECOND}::float8)`;
}
