import { AppError } from '../../app-error.ts';
import { appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import { leavingNews } from '../hand-over/news.ts';
import { stopJoinIn } from '../join/stop.ts';
import { isRevocable } from '../move/progress.ts';
import { canBeDropped } from '../rotate/made.ts';
import { authorOf, type Change, type ChangeKind, type Facts } from './change.ts';

type Begun = Pick<Change, 'step' | 'progress'>;

/** Those that can be taken back also when they have begun: as long as what. */
const TAKEN_BACK: Readonly<Partial<Record<ChangeKind, (change: Begun) => boolean>>> = {
  move: isRevocable,
  rotate_keys: canBeDropped,
  rename: () => true,
  revoke: () => true,
  come_back: () => true,
};

/** Whether its member can take it back, by whoever is at it if need be. */
export function isCancellable({ kind, wish, ...begun }: Begun & Pick<Change, 'kind' | 'wish'>): boolean {
  return !isFirm(wish) && (begun.step === 'requested' || (TAKEN_BACK[kind]?.(begun) ?? false));
}

/** A trusted recovery key asked for it: only that key takes it back. */
function isFirm(wish: Facts): boolean {
  return wish.firm === true;
}

type Found = {
  id: number;
  kind: ChangeKind;
  pnptv_uuid: string;
  step: string;
  wish: Facts;
  progress: Facts;
  over: boolean;
};

type Wish = { userId: string; changeId: number; by: string };

/** {@link cancelIn} a transaction of its own. */
export function cancelChange({ sql }: { sql: Sql }, wish: Wish): Promise<{ cancelled: boolean }> {
  return sql.begin((tx) => cancelIn(tx, wish));
}

/**
 * Takes back a change of a member's: at once, when nothing of it has happened yet; else, where its kind allows it, by
 * whoever is at it (`cancelled` is false then). Asked for twice it is done once. Throws `CHANGE_NOT_FOUND` (404),
 * `CHANGE_NOT_CANCELLABLE` (409), and `CHANGE_OF_RECOVERY_KEY` (409) for what a trusted recovery key asked for: only that
 * takes it back. `by`: a user id, or `recovery_key`.
 */
export async function cancelIn(
  tx: Transaction,
  { userId, changeId, by }: Wish,
): Promise<{ cancelled: boolean }> {
  const begun = await lockWork(tx, userId, changeId);
  const [change] = await tx<Found[]>`
    SELECT id, kind, pnptv_uuid, step, wish, progress, ended_at IS NOT NULL AS over FROM pds_changes
    WHERE id = ${changeId} AND user_id = ${userId} FOR UPDATE`;
  if (change === undefined) throw apiError('CHANGE_NOT_FOUND');
  if (change.over) throw apiError('CHANGE_NOT_CANCELLABLE');
  if (isFirm(change.wish) && by !== 'recovery_key') throw apiError('CHANGE_OF_RECOVERY_KEY');
  if (change.kind === 'join') {
    const joinId = Number(change.wish.join_id);
    await stopJoinIn(tx, { joinId, outcome: 'refused', by, userId }).catch(asNotCancellable);
    return { cancelled: true };
  }
  if (change.step === 'requested' && !begun) {
    await end(tx, { ...change, userId, by });
    return { cancelled: true };
  }
  if (!TAKEN_BACK[change.kind]?.(change)) throw apiError('CHANGE_NOT_CANCELLABLE');
  const noted = await tx`
    UPDATE pds_changes SET cancel_wanted_at = now() WHERE id = ${changeId} AND cancel_wanted_at IS NULL`;
  // Also where its work was given up. And whatever it waits for, it need not wait for that.
  await enqueue(tx, { userId, action: change.kind });
  await tx`
    UPDATE pds_provisioning_queue SET next_retry = least(next_retry, now()), sent_at = NULL
    WHERE user_id = ${userId} AND action = ${change.kind} AND status = 'pending'`;
  if (noted.count > 0) await logCancel(tx, { ...change, userId, by, cancelled: false });
  return { cancelled: false };
}

/** One of the two refuses; so it is called here, whatever it is called there. */
function asNotCancellable(error: unknown): never {
  const isLate = error instanceof AppError && error.code === 'JOIN_NOT_OPEN';
  throw isLate ? apiError('CHANGE_NOT_CANCELLABLE') : error;
}

/** The queue row before all else, as everywhere: while it is locked no worker begins. True when one has it now. */
async function lockWork(tx: Transaction, userId: string, changeId: number): Promise<boolean> {
  const [row] = await tx<{ begun: boolean }[]>`
    SELECT q.status = 'processing' AND q.next_retry > now() AS begun
    FROM pds_provisioning_queue q JOIN pds_changes c ON c.user_id = q.user_id AND c.kind = q.action
    WHERE q.user_id = ${userId} AND c.id = ${changeId} AND q.status IN ('pending', 'processing') FOR UPDATE OF q`;
  return row?.begun ?? false;
}

async function end(tx: Transaction, change: Found & { userId: string; by: string }): Promise<void> {
  const { id, kind, userId } = change;
  await tx`UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled' WHERE id = ${id}`;
  await tx`
    UPDATE pds_provisioning_queue SET status = 'completed', parked_reason = NULL
    WHERE user_id = ${userId} AND action = ${kind} AND status IN ('pending', 'processing')`;
  if (kind === 'hand_over') await sayTo(tx, userId, leavingNews(change, { event: 'cancelled' }));
  await logCancel(tx, { ...change, cancelled: true });
}

/** Who took it back; what is not `cancelled` by that ends later, and the entry of its end says how. */
async function logCancel(
  tx: Transaction,
  { id, kind, pnptv_uuid, userId, by, cancelled }: Found & { userId: string; by: string; cancelled: boolean },
): Promise<void> {
  const { createdBy, ...how } = authorOf(by, userId);
  await appendAudit(tx, {
    userId,
    pnptvUuid: pnptv_uuid,
    action: 'updated',
    status: cancelled ? 'success' : 'pending',
    details: { change: kind, change_id: id, cancelled, ...how },
    createdBy,
  });
}
