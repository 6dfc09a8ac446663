import { appendAudit } from '../../audit/append.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { type ErrorDetails, type Identity, updateIdentity, type Work } from '../identity.ts';
import { failRow } from './fail.ts';

/** Why work waits without having spent an attempt; shown to operators. */
export type ParkedReason =
  | 'provider_down'
  | 'provider_busy'
  | 'account_busy'
  | 'plc_down'
  | 'plc_refused'
  | 'outcome_unknown'
  | 'member_busy'
  | 'out_of_time'
  | 'move_unfinished'
  | 'deletion_unfinished'
  /** A change whose time has not come, and one that waits for what a member does elsewhere. */
  | 'notice'
  | 'member'
  /** What we serve is not seen by everybody yet. */
  | 'not_seen_yet';

/** How a run of work ended, when it did not simply succeed. */
export type Outcome =
  /** It waits for something that is no fault of its own. Spends no attempt; may repeat for ever. */
  | { kind: 'parked'; reason: ParkedReason; until: Date; tellWorker: boolean }
  /** It may succeed next time. Spends an attempt. */
  | { kind: 'again'; error: ErrorDetails; until: Date }
  /** It cannot succeed until a person changes something. */
  | { kind: 'failed'; error: ErrorDetails };

/**
 * Writes down how a run ended and gives the member free, in one transaction.
 * Throws LeaseLost, with nothing written, when another worker has the member by now.
 */
export async function settle(sql: Sql, work: Work, identity: Identity, outcome: Outcome): Promise<void> {
  await sql.begin(async (tx) => {
    // The queue row before the mapping row, as everywhere; a failure's is written by `failRow`.
    if (outcome.kind === 'failed') {
      await tx`SELECT FROM pds_provisioning_queue WHERE id = ${work.queueId} FOR UPDATE`;
    }
    if (outcome.kind === 'parked') await park(tx, work, outcome);
    if (outcome.kind === 'again') await backOff(tx, work, outcome);
    await updateIdentity(tx, identity, { lease_until: null });
    const member = { user_id: identity.user_id, pnptv_uuid: identity.pnptv_uuid };
    if (outcome.kind === 'failed') {
      await failRow(tx, { id: work.queueId, action: work.action, ...member }, outcome.error, {
        details: { step: identity.provisioning_step, attempts: work.attemptCount + 1 },
      });
    }
    // A check writes into the log what it changes, not that it is repeated.
    if (outcome.kind === 'again' && work.action !== 'verify') {
      await appendAudit(tx, {
        userId: identity.user_id,
        pnptvUuid: identity.pnptv_uuid,
        action: 'retry',
        status: 'pending',
        details: { step: identity.provisioning_step, attempts: work.attemptCount + 1 },
        errorCode: outcome.error.code,
        errorMessage: outcome.error.message,
      });
    }
  });
}

/** Gives back the claim: only claims without an outcome count against a row. Crashes in between stay counted. */
async function park(tx: Transaction, work: Work, { reason, until }: Outcome & { kind: 'parked' }) {
  await tx`
    UPDATE pds_provisioning_queue
    SET status = 'pending', next_retry = ${until}, sent_at = NULL, parked_reason = ${reason},
      claims = greatest(claims - 1, 0)
    WHERE id = ${work.queueId}`;
}

async function backOff(tx: Transaction, work: Work, { error, until }: Outcome & { kind: 'again' }) {
  await tx`
    UPDATE pds_provisioning_queue
    SET status = 'pending', next_retry = ${until}, sent_at = NULL, attempt_count = attempt_count + 1,
      claims = greatest(claims - 1, 0), error_details = ${tx.json(error)}
    WHERE id = ${work.queueId}`;
}

/** Completes the row in the caller's transaction, which then also frees the member. */
export async function completeRow(tx: Transaction, work: Work): Promise<void> {
  await tx`
    UPDATE pds_provisioning_queue SET status = 'completed', parked_reason = NULL
    WHERE id = ${work.queueId}`;
}
