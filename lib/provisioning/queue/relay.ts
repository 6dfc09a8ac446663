import { CALLED_AHEAD_MS } from '../times.ts';
import { CHANGE_ACTIONS, PROVISIONING_ACTIONS, type QueueAction, type QueueId } from './queue.ts';
import { type RowsToSend, type SendRowsDeps, type Sent, sendRows } from './send-rows.ts';
import { type Doorkeeper, inLine, nextInLine } from './waiting-line.ts';

/** A row that was sent since is left to its message: SQS needs its time, and so does a worker that is busy. */
const RESEND_AFTER_MS = 50_000;

/**
 * Sends every row that is due and was not sent lately: what a login could not send, what waits for another attempt,
 * and what a dead worker left behind when its lease was over; and of those who wait for a provider as many as it takes
 * now. Several relays at once share the work.
 */
export async function relay(deps: SendRowsDeps): Promise<Sent> {
  const providers = await deps.sql<{ id: string }[]>`SELECT id FROM pds_providers ORDER BY id`;
  const results = [await sendDue(deps)];
  for (const { id } of providers) results.push(await callWaiting(deps, id));
  return {
    sent: results.reduce((sum, { sent }) => sum + sent, 0),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
  };
}

/** Sends every row that is due and was not sent lately, but for those who wait for a provider. The API may, too. */
export function sendDue(deps: SendRowsDeps): Promise<Sent> {
  return sendRows(deps, dueRows(PROVISIONING_ACTIONS));
}

/** The same for changes, to their own queue. */
export function sendDueChanges(deps: SendRowsDeps): Promise<Sent> {
  return sendRows(deps, dueRows(CHANGE_ACTIONS));
}

/**
 * Sends on their way who waits for this provider, in order of age and only as many as it lets in: nobody is woken up to
 * find its door closed. Call it when a provider has recovered; the relay does every minute.
 */
export async function callWaiting(deps: SendRowsDeps, providerId: string): Promise<Sent> {
  await restartQuarantines(deps, providerId);
  return sendRows(deps, async (tx, { at, most }) => {
    const [provider] = await tx<[Doorkeeper]>`
      SELECT id, breaker_state, breaker_until, throttled_until, capabilities, creations
      FROM pds_providers WHERE id = ${providerId}`;
    const soon = new Date(at.getTime() + CALLED_AHEAD_MS);
    return nextInLine(tx, provider, { at, soon, most, resendAfterMs: RESEND_AFTER_MS });
  });
}

function dueRows(actions: readonly QueueAction[]): RowsToSend {
  return async (tx, { at, most }) => {
    const rows = await tx<{ id: QueueId }[]>`
      SELECT q.id::text FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
      WHERE q.status IN ('pending', 'processing') AND q.next_retry <= ${at} AND q.action IN ${tx(actions)}
        AND (q.sent_at IS NULL OR q.sent_at <= ${new Date(at.getTime() - RESEND_AFTER_MS)})
        -- Who found no provider at all stands in nobody's line.
        AND NOT coalesce(q.status = 'pending' AND ${inLine(tx)} AND m.provider_id IS NOT NULL, false)
      ORDER BY q.next_retry, q.id LIMIT ${most} FOR UPDATE OF q SKIP LOCKED`;
    return rows.map(({ id }) => ({ id, turn: at }));
  };
}

/**
 * The quarantine counts from the last time that the PDS was found asleep, and those in its line do not ask it: what they
 * sent before may lie there unread until it wakes up.
 */
async function restartQuarantines({ sql, now }: SendRowsDeps, providerId: string): Promise<void> {
  await sql`
    UPDATE user_pds_mapping SET create_started_at = ${now()}
    WHERE provider_id = ${providerId} AND provisioning_step = 'reserved' AND create_started_at IS NOT NULL
      AND user_id IN (
        SELECT user_id FROM pds_provisioning_queue
        WHERE status = 'pending' AND parked_reason = 'provider_down' FOR UPDATE SKIP LOCKED)`;
}
