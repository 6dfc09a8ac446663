import type { Queryable, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Identity } from '../../provisioning/identity.ts';
import { enqueue, type QueueId } from '../../provisioning/queue/queue.ts';
import { type ChangeKind, type Facts, readOpenChange } from './change.ts';

export type Requested = {
  changeId: number;
  dueAt: Date;
  /** False when it was asked for before. */
  isNew: boolean;
  /** For the worker, after the commit; undefined when it is not due yet or at work already: the relay sends it. */
  queued: QueueId | undefined;
};

export type ChangeRequest = {
  userId: string;
  kind: ChangeKind;
  wish?: Facts;
  /** A user id, `system`, or `recovery_key`. */
  by: string;
  /** When it may begin at the earliest. Default: at once. */
  dueAt?: Date;
  /** Which identities it is for. Default: active ones. */
  of?: readonly Identity['status'][];
  now: Date;
};

/** Who has left has no account with us any more, but a document, a host name and a log. */
const STILL_FOR_WHO_LEFT: ReadonlySet<ChangeKind> = new Set(['hand_over', 'delete', 'join']);

/**
 * Writes a change down, with the work for it, in the caller's transaction. Whoever asks again for the very change that
 * is under way, because the answer got lost, is told of that one; should its work have been given up, it begins again with
 * fresh attempts. Throws `IDENTITY_NOT_READY` (409), and
 * `CHANGE_IN_PROGRESS` (409) while another one is.
 */
export async function requestChange(
  tx: Transaction,
  { userId, kind, wish = {}, by, dueAt, of = ['active'], now }: ChangeRequest,
): Promise<Requested> {
  const due = dueAt ?? now;
  const [made] = await tx<{ id: number }[]>`
    INSERT INTO pds_changes (user_id, pnptv_uuid, kind, wish, requested_by, due_at)
    SELECT user_id, pnptv_uuid, ${kind}, ${tx.json(wish)}, ${by}, ${due}
    FROM user_pds_mapping WHERE user_id = ${userId} AND status IN ${tx(of)}
      AND (left_at IS NULL OR ${STILL_FOR_WHO_LEFT.has(kind)})
    ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING
    RETURNING id`;
  if (made) {
    const { queueId } = await enqueue(tx, { userId, action: kind, now: due });
    return { changeId: made.id, dueAt: due, isNew: true, queued: due > now ? undefined : queueId };
  }
  const open = await readOpenChange(tx, userId);
  if (open === undefined) throw apiError('IDENTITY_NOT_READY');
  const [same] = await tx<[{ same: boolean }]>`
    SELECT ${tx.json(open.wish)}::jsonb = ${tx.json(wish)}::jsonb AND ${open.kind === kind} AS same`;
  if (!same.same) throw apiError('CHANGE_IN_PROGRESS');
  const { queueId, created } = await enqueue(tx, {
    userId,
    action: kind,
    now: open.due_at > now ? open.due_at : now,
  });
  const isDue = created && open.due_at <= now;
  return { changeId: open.id, dueAt: open.due_at, isNew: false, queued: isDue ? queueId : undefined };
}

/** Throws `CHANGE_IN_PROGRESS` (409): for whatever must not happen beside a change and is none itself. */
export async function expectNoChange(sql: Queryable, userId: string): Promise<void> {
  if (await readOpenChange(sql, userId)) throw apiError('CHANGE_IN_PROGRESS');
}

/** No request of a member takes longer. */
const BEGINS_SOON_MS = 60_000;

/** The same, but not for one that only waits for its notice, and does so for longer than a request may take. */
export async function expectNoChangeBegun(sql: Queryable, userId: string, now: Date): Promise<void> {
  const open = await readOpenChange(sql, userId);
  const isWaiting = open?.step === 'requested' && open.due_at.getTime() > now.getTime() + BEGINS_SOON_MS;
  if (open && !isWaiting) throw apiError('CHANGE_IN_PROGRESS');
}
