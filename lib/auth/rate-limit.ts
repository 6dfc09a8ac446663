import { isIPv6 } from 'node:net';
import type { Queryable } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';

export type Limit = { max: number; windowSeconds: number };

/** {@link limitUse} of one database. */
export type Limiter = (operation: string, uses: readonly Use[]) => Promise<void>;
/** Who uses it (a member's id, a network), and how often he may. */
type Use = readonly [subject: string, limit: Limit];

/**
 * Counts one use of an operation by each of these subjects in the current fixed window. One statement, exact however
 * many processes count. Throws `RATE_LIMITED` (429) with the seconds until the next window of who did too much.
 */
export async function limitUse(sql: Queryable, operation: string, uses: readonly Use[]): Promise<void> {
  const limits = new Map(uses);
  const windows = await sql<{ subject: string; hits: number; age: number }[]>`
    INSERT INTO rate_limits AS r (bucket, window_start)
    SELECT ${`${operation}:`} || subject, date_bin(make_interval(secs => seconds), now(), 'epoch')
    FROM unnest(${uses.map(([subject]) => subject)}::text[], ${uses.map(([, limit]) => String(limit.windowSeconds))}::int[])
      AS use (subject, seconds)
    ON CONFLICT (bucket, window_start) DO UPDATE SET hits = r.hits + 1
    RETURNING substr(bucket, ${operation.length + 2}) AS subject, hits,
      extract(epoch FROM now() - window_start)::float8 AS age`;
  const waits = windows.map(({ subject, hits, age }) => {
    const { max, windowSeconds } = limits.get(subject) as Limit;
    return hits > max ? Math.max(1, Math.ceil(windowSeconds - age)) : 0;
  });
  const retryAfter = Math.max(0, ...waits);
  if (retryAfter > 0) throw apiError('RATE_LIMITED', { retryAfter });
}

/**
 * The network that an address counts for: the address itself for IPv4 (also in the form in which a socket for both
 * shows it, RFC 4291 2.5.5.2), its /64 for IPv6, because a subscriber has all of it and could come from a new address
 * each time.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - after }, () => '0');
  const all = [...groups, ...zeros, ...(tail ? tail.split(':') : [])];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
