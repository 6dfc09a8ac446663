import type { Queryable } from '../../db/connect.ts';
import type { QueueId } from '../../provisioning/queue/queue.ts';

/** Whoever is late by more has waited for more than his turn. */
const LATE_HOURS = 24;

/**
 * Whether the keys of a member are due and he is free, of the mapping under its alias `m`. Whom a PDS does not let in, or
 * not answer for, has them rotated once he is well: until then nothing could be proven. Who has just taken a rotation back
 * is left in peace for a day.
 */
function isDue(sql: Queryable, now: Date) {
  return sql`m.status = 'active' AND m.next_key_rotation <= ${now} AND m.verification_status <> 'inaccessible'
    AND NOT EXISTS (
      SELECT FROM pds_changes c WHERE c.user_id = m.user_id AND c.kind = 'rotate_keys' AND c.outcome = 'cancelled'
        AND c.ended_at > ${dayBefore(now)})
    AND ${isFree(sql, now)}`;
}

/** Whether nobody works on the member, and no change of his is under way; the mapping is `m`. */
export function isFree(sql: Queryable, now: Date) {
  return sql`(m.lease_until IS NULL OR m.lease_until <= ${now})
    AND NOT EXISTS (SELECT FROM pds_changes c WHERE c.user_id = m.user_id AND c.ended_at IS NULL)`;
}

/** Where rotations are to come more often than they did, brings forward whose turn is over a period away, to his own moment. */
export async function bringForward(
  sql: Queryable,
  { now, days }: { now: Date; days: number },
): Promise<number> {
  const latest = new Date(now.getTime() + days * 86_400_000);
  const moved = await sql`
    UPDATE user_pds_mapping SET next_key_rotation = next_key_rotation(pnptv_uuid, ${now}, ${days})
    WHERE status = 'active' AND next_key_rotation > ${latest}`;
  return moved.count;
}

/** Whether somebody with a did:plc is due. */
export async function isPlcDue(sql: Queryable, now: Date): Promise<boolean> {
  const [due] = await sql`
    SELECT FROM user_pds_mapping m WHERE ${isDue(sql, now)} AND m.did_method = 'plc' LIMIT 1`;
  return due !== undefined;
}

/** Where those live whose keys are due. */
export async function readProvidersOfDue(sql: Queryable, now: Date): Promise<string[]> {
  const rows = await sql<{ provider_id: string }[]>`
    SELECT DISTINCT provider_id FROM user_pds_mapping m WHERE ${isDue(sql, now)} ORDER BY 1`;
  return rows.map(({ provider_id }) => provider_id);
}

/**
 * The ids of the mapping rows of those who live there and are due, data key by data key, so that each is opened once;
 * without those of a did:plc where the directory is down: their rotation could not begin, and nothing else could, either.
 */
export async function readDue(
  sql: Queryable,
  { providerId, now, most, withPlc }: { providerId: string; now: Date; most: number; withPlc: boolean },
): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    SELECT id FROM user_pds_mapping m WHERE ${isDue(sql, now)} AND provider_id = ${providerId}
      AND (did_method = 'web' OR ${withPlc})
    ORDER BY data_key_id, id LIMIT ${most}`;
  return rows.map(({ id }) => id);
}

/**
 * Writes down, as `requestChange` does, the rotation of those who are still due, and the work for it, as if it were sent:
 * whoever asked does it now, and the relay sends what he leaves.
 */
export async function requestRotations(
  sql: Queryable,
  ids: readonly number[],
  now: Date,
): Promise<QueueId[]> {
  const rows = await sql<{ id: QueueId }[]>`
    WITH made AS (
      INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, due_at)
      SELECT user_id, pnptv_uuid, 'rotate_keys', 'system', ${now}::timestamptz FROM user_pds_mapping m
      WHERE id = ANY(${ids}::bigint[]) AND ${isDue(sql, now)} ORDER BY data_key_id, id
      ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING
      RETURNING user_id, pnptv_uuid
    )
    INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry, sent_at)
    SELECT user_id, pnptv_uuid, 'rotate_keys', ${now}::timestamptz, ${now}::timestamptz FROM made
    ON CONFLICT (user_id, action) WHERE status IN ('pending', 'processing') DO NOTHING
    RETURNING id::text`;
  return rows.map(({ id }) => id);
}

/**
 * Begins the rotations again, with fresh attempts, whose work was given up a day ago: as long as one is under way its member
 * can change nothing else. Returns how many; the relay sends them.
 */
export async function resumeGivenUp(sql: Queryable, now: Date): Promise<number> {
  const resumed = await sql`
    INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry)
    SELECT c.user_id, c.pnptv_uuid, c.kind, ${now}::timestamptz FROM pds_changes c
    WHERE c.kind = 'rotate_keys' AND c.ended_at IS NULL AND NOT EXISTS (
      SELECT FROM pds_provisioning_queue q WHERE q.user_id = c.user_id AND q.action = c.kind
        AND (q.status IN ('pending', 'processing') OR q.updated_at > ${dayBefore(now)}))
    ON CONFLICT (user_id, action) WHERE status IN ('pending', 'processing') DO NOTHING`;
  return resumed.count;
}

/** How many were due a day ago and still are, or have been at it since. */
export async function countLate(sql: Queryable, now: Date): Promise<number> {
  const due = dayBefore(now);
  const [late] = await sql<[{ count: number }]>`
    SELECT (SELECT count(*) FROM user_pds_mapping m WHERE ${isDue(sql, now)} AND next_key_rotation <= ${due})
      + (SELECT count(*) FROM pds_changes WHERE kind = 'rotate_keys' AND ended_at IS NULL AND due_at <= ${due}) AS count`;
  return late.count;
}

function dayBefore(now: Date): Date {
  return new Date(now.getTime() - LATE_HOURS * 3600_000);
}
