import type { Queryable } from '../db/connect.ts';

/**
 * A PDS counts 100 account creations in five minutes for an address, failed ones too; a tenth is left to others.
 * @NOTE `@atproto/pds`, createAccount.ts, `rateLimit`.
 */
export const CREATIONS = 90;
/** Five minutes and a little: the PDS counts when a request arrives, we when it leaves. */
export const WINDOW_MS = 305_000;

/**
 * Takes one account creation out of the provider's budget, shared by all workers: in no window of five minutes,
 * wherever it begins, there are more than it allows. The first `ahead` that are free belong to others.
 * False when there was none for this caller.
 */
export async function takeCreation(
  sql: Queryable,
  providerId: string,
  { now, ahead = 0 }: { now: Date; ahead?: number },
): Promise<boolean> {
  const since = new Date(now.getTime() - WINDOW_MS);
  const [taken] = await sql`
    UPDATE pds_providers
    SET creations = ARRAY(SELECT at FROM unnest(creations) AS at WHERE at > ${since} ORDER BY at) || ${now}::timestamptz
    WHERE id = ${providerId}
      AND (SELECT count(*) FROM unnest(creations) AS at WHERE at > ${since}) + ${ahead}::int < ${CREATIONS}
    RETURNING id`;
  return taken !== undefined;
}

/** When it is the turn of the one behind `ahead` others. */
export async function nextTurn(
  sql: Queryable,
  providerId: string,
  { now, ahead = 0 }: { now: Date; ahead?: number },
): Promise<Date> {
  const [provider] = await sql<{ creations: Date[] }[]>`
    SELECT creations FROM pds_providers WHERE id = ${providerId}`;
  return turnOf(ahead, provider?.creations ?? [], now);
}

/** The same, of a provider of which these creations are known: if all of them go as soon as they may. */
export function turnOf(ahead: number, creations: readonly Date[], now: Date): Date {
  const counted = creations.map((at) => at.getTime()).filter((at) => at > now.getTime() - WINDOW_MS);
  const free = Math.max(0, CREATIONS - counted.length);
  if (ahead < free) return now;
  // Each creation makes room for another one when its window is over, and so does that one again.
  const window = [...counted.sort((a, b) => a - b), ...Array<number>(free).fill(now.getTime())];
  const place = ahead - free;
  const makesRoom = window[place % window.length] ?? now.getTime();
  return new Date(makesRoom + WINDOW_MS * (1 + Math.floor(place / window.length)));
}

/** How many of those who wait have their turn until `by`. */
export function turnsUntil(by: Date, creations: readonly Date[]): number {
  return CREATIONS - creations.filter((at) => at.getTime() > by.getTime() - WINDOW_MS).length;
}
