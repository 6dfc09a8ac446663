import { isIPv6 } from 'node:net';
import type { Queryable } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';

export type Limit = { max: number; windowSeconds: number };

/** {@link limitUse} of one database. */
export type Limiter = (operation: string, subject: string, limit: Limit) => Promise<void>;

/**
 * Counts one use of an operation by this subject (a member's id, a network) in the current fixed window. One statement,
 * exact however many processes count. Throws `RATE_LIMITED` (429) with the seconds until the next window.
 */
export async function limitUse(
  sql: Queryable,
  operation: string,
  subject: string,
  { max, windowSeconds }: Limit,
): Promise<void> {
  const [window] = await sql<[{ hits: number; seconds_left: number }]>`
    INSERT INTO rate_limits AS r (bucket, window_start)
    VALUES (${`${operation}:${subject}`}, date_bin(make_interval(secs => ${windowSeconds}), now(), 'epoch'))
    ON CONFLICT (bucket, window_start) DO UPDATE SET hits = r.hits + 1
    RETURNING hits, ceil(extract(epoch FROM window_start - now()) + ${windowSeconds})::int AS seconds_left`;
  if (window.hits > max) throw apiError('RATE_LIMITED', { retryAfter: Math.max(1, window.seconds_left) });
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
