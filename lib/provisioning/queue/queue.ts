import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Queryable, Transaction } from '../../db/connect.ts';

/** What makes an identity and looks after it. */
export const PROVISIONING_ACTIONS = ['create', 'verify', 'retry'] as const;
/** What changes one that exists (lib/lifecycle/changes), or reads all of it: a worker of its own does that, with more time. */
export const CHANGE_ACTIONS = [
  'rotate_keys',
  'rename',
  'revoke',
  'come_back',
  'delete',
  'join',
  'move',
  'hand_over',
  'export',
] as const;
export type ChangeAction = (typeof CHANGE_ACTIONS)[number];
export type QueueAction = (typeof PROVISIONING_ACTIONS)[number] | ChangeAction;
/** The id of a row in `pds_provisioning_queue`, in decimal: it is a bigint. */
export type QueueId = string;

export type Enqueued = {
  queueId: QueueId;
  /** True when this call made the work, or made it due again: after the commit, send it. */
  created: boolean;
};

/**
 * Writes down work for a member, in the caller's transaction; nothing is lost from its commit on, whatever becomes
 * of SQS. Makes the member's mapping row if this is his first work.
 *
 * - Whatever it is: at most one open row per member and action; an open one is returned as it is.
 * - `retry`: starts the failed or waiting provisioning over now, with fresh attempts. It touches no secret: the
 *   account that an earlier attempt may have made is found again only with the same ones. A member whose identity
 *   is complete gets `verify` instead. Dead letters of the work count as redriven, by `by` (the member himself, if
 *   nobody is named).
 */
export async function enqueue(
  tx: Transaction,
  { userId, action, by = userId, now = new Date() }: EnqueueArgs,
): Promise<Enqueued> {
  await tx`INSERT INTO user_pds_mapping (user_id) VALUES (${userId}) ON CONFLICT (user_id) DO NOTHING`;
  if (action !== 'retry') return insertRow(tx, { userId, action, now });

  const [identity] = await tx<{ status: string }[]>`
    SELECT status FROM user_pds_mapping WHERE user_id = ${userId}`;
  if (identity?.status === 'active') return insertRow(tx, { userId, action: 'verify', now });
  const reopened = await reopenProvisioning(tx, { userId, by, now });
  const row = reopened ?? (await insertRow(tx, { userId, action, now }));
  // The queue row is locked before the mapping row, as everywhere: no two transactions wait for each other.
  await tx`
    UPDATE user_pds_mapping SET status = 'pending', error_code = NULL, error_message = NULL
    WHERE user_id = ${userId} AND status = 'error'`;
  return row;
}

type EnqueueArgs = { userId: string; action: QueueAction; by?: string; now?: Date };

async function insertRow(
  tx: Queryable,
  { userId, action, now }: { userId: string; action: QueueAction; now: Date },
): Promise<Enqueued> {
  const [made] = await tx<{ id: QueueId }[]>`
    INSERT INTO pds_provisioning_queue (user_id, pnptv_uuid, action, next_retry)
    SELECT user_id, pnptv_uuid, ${action}, ${now} FROM user_pds_mapping WHERE user_id = ${userId}
    ON CONFLICT (user_id, action) WHERE status IN ('pending', 'processing') DO NOTHING
    RETURNING id::text`;
  if (made) return { queueId: made.id, created: true };
  const [open] = await tx<{ id: QueueId }[]>`
    SELECT id::text FROM pds_provisioning_queue
    WHERE user_id = ${userId} AND action = ${action} AND status IN ('pending', 'processing')`;
  // The row that stood in the way was completed between the two statements: there is room now.
  return open ? { queueId: open.id, created: false } : insertRow(tx, { userId, action, now });
}

/**
 * Gives the member's last provisioning work fresh attempts. A row that a worker holds keeps its lease: the worker
 * goes on, and only what it has spent is forgotten. Undefined when there is nothing unfinished.
 */
async function reopenProvisioning(
  tx: Queryable,
  { userId, by, now }: { userId: string; by: string; now: Date },
): Promise<Enqueued | undefined> {
  const [row] = await tx<{ id: QueueId; due: boolean }[]>`
    WITH last AS (
      SELECT id, status FROM pds_provisioning_queue
      WHERE user_id = ${userId} AND action IN ('create', 'retry') AND status <> 'completed'
      ORDER BY status = 'failed', id DESC LIMIT 1 FOR UPDATE
    )
    UPDATE pds_provisioning_queue q SET
      attempt_count = 0, claims = 0,
      status = CASE q.status WHEN 'processing' THEN q.status ELSE 'pending' END,
      next_retry = CASE q.status WHEN 'processing' THEN q.next_retry ELSE ${now}::timestamptz END,
      sent_at = CASE q.status WHEN 'processing' THEN q.sent_at END,
      error_details = NULL, parked_reason = NULL, stale_since = NULL
    FROM last WHERE q.id = last.id
    RETURNING q.id::text, q.status = 'pending' AS due`;
  if (!row) return undefined;
  await tx`
    UPDATE dead_letters SET redriven_at = ${now}, redriven_by = ${by}
    WHERE queue_id = ${row.id} AND redriven_at IS NULL`;
  return { queueId: row.id, created: row.due };
}

/** Longer than this a login does not wait for SQS: the relay sends what it could not. */
const SEND_TIMEOUT_MS = 2000;
/** What SQS can hold a message back at most. */
const LONGEST_DELAY_S = 900;

/**
 * Tells a worker about a committed row, `delayMs` from now (in `sent_at` stands when SQS delivers it). Never throws: false when the message is not known to be
 * sent, which loses nothing, because the relay sends every due row that was not sent lately.
 */
export async function sendQueued(
  { sql, sqs, queueUrl, now = () => new Date() }: SendDeps,
  queueId: QueueId,
  delayMs = 0,
): Promise<boolean> {
  const at = now();
  const delay = secondsUntil(new Date(at.getTime() + delayMs), at);
  try {
    await sqs.send(
      new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: messageBody(queueId), DelaySeconds: delay }),
      { abortSignal: AbortSignal.timeout(SEND_TIMEOUT_MS) },
    );
    const delivered = new Date(now().getTime() + delay * 1000);
    await sql`UPDATE pds_provisioning_queue SET sent_at = ${delivered} WHERE id = ${queueId}`;
    return true;
  } catch {
    return false;
  }
}

export type SendDeps = { sql: Queryable; sqs: SQSClient; queueUrl: string; now?: () => Date };

/** How long SQS is to hold a message back. */
export function secondsUntil(time: Date, at: Date): number {
  return Math.min(LONGEST_DELAY_S, Math.max(0, Math.ceil((time.getTime() - at.getTime()) / 1000)));
}

/** A message carries the row's id and nothing else: what is in the database may have changed since. */
export function messageBody(queueId: QueueId): string {
  return JSON.stringify({ queueId });
}

/** The row that a message is about; undefined for a message that we never wrote. */
export function readMessage(body: string): QueueId | undefined {
  try {
    const { queueId } = JSON.parse(body);
    return typeof queueId === 'string' && /^[1-9]\d{0,17}$/.test(queueId) ? queueId : undefined;
  } catch {
    return undefined;
  }
}
