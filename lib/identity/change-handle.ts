import type { ISql } from 'postgres';
import type { Did, Handle } from '../brands.ts';

const DAY_MS = 86_400_000;
/** So long a handle that was given up goes to nobody else: who knows it by heart must not meet a stranger there. */
const KEPT_DAYS = 90;
/** More handles than that nobody gives up at a time: he would keep names from others. */
export const MOST_GIVEN_UP = 10;

/** Whose a handle is, for a member who wishes it. */
export type Standing = 'free' | 'his' | 'his_before' | 'given_up' | 'taken';

/** Whose a handle is, and how many others this member has given up that nobody else may have yet. */
export async function lookUpHandle(
  sql: ISql,
  { userId, handle }: { userId: string; handle: Handle },
): Promise<{ standing: Standing; givenUp: number }> {
  const [found] = await sql<[{ standing: Standing; given_up: number }]>`
    SELECT CASE
        WHEN h.hostname IS NULL THEN 'free'
        WHEN h.user_id = ${userId} AND h.kind <> 'did' THEN CASE WHEN h.released_at IS NULL THEN 'his' ELSE 'his_before' END
        WHEN h.free_at IS NOT NULL THEN 'given_up'
        ELSE 'taken'
      END AS standing,
      (SELECT count(*)::int FROM hostnames g
       WHERE g.user_id = ${userId} AND g.free_at IS NOT NULL AND g.hostname <> ${handle}) AS given_up
    FROM (VALUES (1)) wish LEFT JOIN hostnames h ON h.hostname = ${handle}`;
  return { standing: found.standing, givenUp: found.given_up };
}

type Owned = { userId: string; did: Did; handle: Handle };
/** How a name stood that its member had given up before, to go back to. */
export type GivenUp = {
  kind: 'handle' | 'reserved';
  released_at: string;
  serve_until: string | null;
  free_at: string | null;
};

/**
 * Takes one more handle for a member, beside the one that he has: it leads to his DID from the commit on. One that he
 * gave up himself he may have again, and then `before` is how it stood. Undefined, and nothing changed, when somebody
 * else has it; waits for a concurrent transaction that is about to take it.
 */
export async function takeHandle(
  tx: ISql,
  { userId, did, handle }: Owned,
): Promise<{ before: GivenUp | null } | undefined> {
  const taken = await tx`
    INSERT INTO hostnames (hostname, kind, user_id, did) VALUES (${handle}, 'handle', ${userId}, ${did})
    ON CONFLICT (hostname) DO NOTHING`;
  if (taken.count > 0) return { before: null };
  const [before] = await tx<GivenUp[]>`
    SELECT kind, released_at::text, serve_until::text, free_at::text FROM hostnames
    WHERE hostname = ${handle} AND user_id = ${userId} AND did = ${did} AND kind <> 'did'
      AND released_at IS NOT NULL FOR UPDATE`;
  if (before === undefined) return undefined;
  await tx`
    UPDATE hostnames SET kind = 'handle', released_at = NULL, serve_until = NULL, free_at = NULL
    WHERE hostname = ${handle}`;
  return { before };
}

/** Undoes {@link takeHandle}: the name is nobody's again, or stands as it did before. */
export async function returnHandle(
  tx: ISql,
  { userId, did, handle, before }: Owned & { before: GivenUp | null },
): Promise<void> {
  const { kind, released_at, serve_until, free_at } = before ?? NOBODYS;
  const returned = await tx`
    UPDATE hostnames SET kind = ${kind}, released_at = ${released_at}::timestamptz,
      serve_until = ${serve_until}::timestamptz, free_at = ${free_at}::timestamptz
    WHERE hostname = ${handle} AND kind = 'handle' AND user_id = ${userId} AND did = ${did} AND released_at IS NULL`;
  if (returned.count > 0 && before === null) await freeHandles(tx, 1);
}

/** Free at once, and before all others. */
const NOBODYS: GivenUp = {
  kind: 'handle',
  released_at: 'now',
  serve_until: null,
  free_at: '-infinity',
};

/** Gives up a member's handle: it leads to his DID for `graceDays` more, and to nobody else for {@link KEPT_DAYS}. */
export async function giveUpHandle(
  tx: ISql,
  { userId, did, handle, now, graceDays }: Owned & { now: Date; graceDays: number },
): Promise<{ servedUntil: Date; freeAt: Date }> {
  const after = (days: number) => new Date(now.getTime() + days * DAY_MS);
  const [servedUntil, freeAt] = [after(graceDays), after(KEPT_DAYS)];
  await tx`
    UPDATE hostnames SET released_at = ${now}, serve_until = ${servedUntil}, free_at = ${freeAt}
    WHERE hostname = ${handle} AND kind = 'handle' AND user_id = ${userId} AND did = ${did} AND released_at IS NULL`;
  return { servedUntil, freeAt };
}

/** Frees handles whose time is over, at most so many; returns how many. A name of a DID never is one. */
export async function freeHandles(sql: ISql, most: number): Promise<number> {
  const [{ freed }] = await sql<[{ freed: number }]>`SELECT free_hostnames(${most}) AS freed`;
  return freed;
}
