import type { Sql, Transaction } from '../../db/connect.ts';
import type { Identity, Work } from '../identity.ts';
import type { Actions } from '../run.ts';
import type { Times } from '../times.ts';
import { failRow } from './fail.ts';
import type { QueueAction, QueueId } from './queue.ts';

export type Claim =
  | { kind: 'claimed'; work: Work; identity: Identity; username: string | null }
  /** `settled`: nothing left to do; `waiting`: not due yet; `busy`: another worker has the member. */
  | { kind: 'settled' | 'waiting' | 'busy' }
  /** Claimed too often without an outcome: given up now. */
  | { kind: 'dead' }
  /** Work that this kind of worker does not do: the relay sends it to those who do. */
  | { kind: 'foreign' };

/** As many claims without an outcome make a row dead: something about it kills workers. */
export const MOST_CLAIMS = 5;
/** Clocks of two machines differ; work that was just enqueued must not count as early. */
const CLOCK_SKEW_MS = 2_000;

type Row = {
  id: QueueId;
  user_id: string;
  pnptv_uuid: string;
  action: QueueAction;
  status: string;
  attempt_count: number;
  max_attempts: number;
  next_retry: Date;
  claims: number;
};

/**
 * Takes a row of work and its member for this worker, in one transaction: the lease keeps others away until it ends,
 * the new epoch makes everything fail that an earlier worker might still write.
 * Anything but `claimed` means: acknowledge the message. The row itself says what happens next; one that is `busy` is to be
 * sent again.
 */
export async function claim(
  { sql, now, times, actions }: { sql: Sql; now: () => Date; times: Times; actions: Actions },
  queueId: QueueId,
): Promise<Claim> {
  return sql.begin(async (tx): Promise<Claim> => {
    const [row] = await tx<Row[]>`
      SELECT id::text, user_id, pnptv_uuid, action, status, attempt_count, max_attempts, next_retry, claims
      FROM pds_provisioning_queue WHERE id = ${queueId} FOR UPDATE`;
    const at = now();
    if (!row || row.status === 'completed' || row.status === 'failed') return { kind: 'settled' };
    if (!actions[row.action]) {
      await tx`UPDATE pds_provisioning_queue SET sent_at = NULL WHERE id = ${queueId}`;
      return { kind: 'foreign' };
    }
    // A row in work is due again when its lease ends.
    if (row.next_retry.getTime() > at.getTime() + (row.status === 'pending' ? CLOCK_SKEW_MS : 0)) {
      return { kind: 'waiting' };
    }
    if (row.claims >= MOST_CLAIMS) {
      await giveUp(tx, row);
      return { kind: 'dead' };
    }
    const leaseUntil = new Date(at.getTime() + times.lease * 1000);
    const [member] = await tx<(Identity & { username: string | null })[]>`
      UPDATE user_pds_mapping m SET epoch = epoch + 1, lease_until = ${leaseUntil}
      FROM users u
      WHERE m.user_id = ${row.user_id} AND u.id = m.user_id AND (m.lease_until IS NULL OR m.lease_until <= ${at})
      RETURNING m.*, u.username`;
    if (!member) return { kind: 'busy' };
    await tx`
      UPDATE pds_provisioning_queue
      SET status = 'processing', claims = claims + 1, next_retry = ${leaseUntil}, parked_reason = NULL
      WHERE id = ${queueId}`;
    const { username, ...identity } = member;
    const work = {
      queueId,
      action: row.action,
      attemptCount: row.attempt_count,
      maxAttempts: row.max_attempts,
    };
    return { kind: 'claimed', work, identity, username };
  });
}

async function giveUp(tx: Transaction, row: Row): Promise<void> {
  await failRow(tx, row, {
    code: 'CLAIMED_TOO_OFTEN',
    message: `The work was begun ${row.claims} times and never came to an end. Operators look into it; then retry.`,
  });
}
