import type { Queryable } from '../../db/connect.ts';

/**
 * Whether a member's credentials are due for their check, of the mapping under its alias `m`: he has a moment of his own
 * in every period, and is due from then until he was checked. So members are spread evenly, and stay so after an outage,
 * a deployment or a change of the setting: whoever is checked late has his next turn at his own moment all the same.
 */
export function credentialsDue(sql: Queryable, { now, hours }: { now: Date; hours: number }) {
  const seconds = Math.floor(now.getTime() / 1000);
  const period = hours * 3600;
  return sql`m.credentials_checked_at < to_timestamp(
    ${seconds}::bigint - (${seconds}::bigint - (hashtextextended(m.pnptv_uuid::text, 0) & 9223372036854775807) % ${period}::bigint)
      % ${period}::bigint)`;
}
