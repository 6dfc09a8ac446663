import type { Queryable } from '../../db/connect.ts';
import { nextTurn, takeCreation, turnOf, turnsUntil } from '../../pds/budget.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import type { Run } from '../run.ts';
import { Parked } from './outcome.ts';
import { PROVISIONING_ACTIONS, type QueueId } from './queue.ts';

/** Neighbours in the line come in any order; a little after the turn of the first there is room for all of them. */
const ROOM_MS = 3_000;

/**
 * Who waits for his provider, and not for a time of his own, stands in its line: the relay calls him, by age. Changes are
 * few, and each comes back by itself.
 */
export function inLine(sql: Queryable) {
  return sql`q.parked_reason IN ('provider_down', 'provider_busy') AND q.action IN ${sql(PROVISIONING_ACTIONS)}`;
}

/** Takes a creation out of the provider's budget. Throws Parked when there is none, or when somebody older wants it. */
export async function awaitTurn({ sql, work, now }: Run, { provider }: AccountHost): Promise<void> {
  if (provider.rateLimitBypassKey !== undefined) return;
  const at = now();
  const [{ waiting, asking }] = await sql<[{ waiting: number; asking: number }]>`
    SELECT floor(coalesce(sum(${share(sql)}) FILTER (WHERE q.status = 'pending'), 0))::int AS waiting,
      floor(coalesce(sum(${share(sql)}) FILTER (WHERE q.status = 'processing'), 0))::int AS asking
    FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
    WHERE ${wantsAccount(sql, provider.id, at)} AND q.id < ${work.queueId}`;
  if (await takeCreation(sql, provider.id, { now: at, ahead: waiting + asking })) return;
  // Of those who ask at this moment some have perhaps taken theirs just now: if it lies with them, it is asked again soon.
  const turn = await nextTurn(sql, provider.id, { now: at, ahead: waiting });
  throw new Parked('provider_busy', new Date(turn.getTime() + ROOM_MS));
}

/** A provider, as far as it is seen how many it takes. */
export type Doorkeeper = {
  id: string;
  breaker_state: 'closed' | 'open' | 'half_open';
  breaker_until: Date | null;
  throttled_until: Date | null;
  capabilities: readonly string[];
  creations: readonly Date[];
};

/**
 * Locks those in a provider's line whose turn comes until `soon`, the oldest first, at most `most`, and says when it is.
 * From a provider that is down it is one, as the probe, and nobody while another one probes it. One that is well and takes
 * new members also calls those who wait for another one that cannot.
 * Who was called and did not come is called again when `resendAfterMs` are over.
 */
export async function nextInLine(
  sql: Queryable,
  provider: Doorkeeper,
  { at, soon, most, resendAfterMs }: { at: Date; soon: Date; most: number; resendAfterMs: number },
): Promise<{ id: QueueId; turn: Date }[]> {
  const { id, breaker_state, breaker_until, throttled_until, capabilities, creations } = provider;
  const opens = throttled_until && throttled_until > at ? throttled_until : at;
  const isDown = breaker_state !== 'closed';
  if (opens > soon || (isDown && breaker_until && breaker_until > at)) return [];
  const unlimited = capabilities.includes('pass_limits');
  const rows = await sql<{ id: QueueId; ahead: number | null }[]>`
    WITH line AS (
      SELECT q.id, floor(sum(${share(sql)}) OVER (ORDER BY q.id) - ${share(sql)})::int AS ahead
      FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
      WHERE ${wantsAccount(sql, id, at)} AND NOT ${unlimited}
    )
    SELECT q.id::text, line.ahead
    FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id) LEFT JOIN line ON line.id = q.id
    WHERE q.status = 'pending' AND ${inLine(sql)}
      AND (m.provider_id = ${id} OR ${!isDown && capabilities.includes('create')} AND ${isStranded(sql, at)})
      AND (q.sent_at IS NULL OR q.sent_at <= ${new Date(at.getTime() - resendAfterMs)})
      AND coalesce(line.ahead < ${turnsUntil(soon, creations)}, true)
    ORDER BY q.id LIMIT ${isDown ? 1 : most} FOR UPDATE OF q SKIP LOCKED`;
  return rows.map((row) => {
    const place = row.ahead === null ? at : turnOf(row.ahead, creations, at);
    const turn = place > at ? new Date(place.getTime() + ROOM_MS) : at;
    return { id: row.id, turn: turn > opens ? turn : opens };
  });
}

/**
 * Whoever wants an account of this provider and could go at once: those in its line, those in work or due that have not
 * asked for it yet, those who have no provider yet, and those whose own cannot. Whose createAccount may still be running looks first.
 */
function wantsAccount(sql: Queryable, providerId: string, at: Date) {
  return sql`
    q.status IN ('pending', 'processing') AND q.action IN ('create', 'retry')
    AND m.provisioning_step IN ('requested', 'reserved')
    AND (m.provider_id = ${providerId} OR m.provider_id IS NULL OR ${isStranded(sql, at)})
    AND (q.parked_reason = 'provider_busy' OR m.create_started_at IS NULL AND (
      q.status = 'processing' OR q.parked_reason = 'provider_down' OR q.next_retry <= ${at}))`;
}

/**
 * Who stands in the line of a provider that is down, wants to be left alone, or takes nobody any more, before it has made
 * his account, so that another one may (lib/provisioning/providers/fail-over.ts).
 */
function isStranded(sql: Queryable, at: Date) {
  return sql`(
    ${inLine(sql)} AND m.provisioning_step = 'reserved'
    AND (m.did_method = 'web' OR m.create_started_at IS NULL)
    AND EXISTS (
      SELECT FROM pds_providers own
      WHERE own.id = m.provider_id AND (
        own.breaker_state <> 'closed' OR own.throttled_until > ${at} OR NOT 'create' = ANY(own.capabilities))))`;
}

/** Who has no provider yet may choose any that takes new members. */
function share(sql: Queryable) {
  return sql`
    CASE WHEN m.provider_id IS NULL
      THEN 1.0 / (SELECT greatest(count(*), 1) FROM pds_providers WHERE 'create' = ANY(capabilities)) ELSE 1.0 END`;
}
