import type { JsonValue, Queryable } from '../../db/connect.ts';
import type { NoticeGroup } from '../../operators/describe.ts';
import type { IdentityInfo } from '../../pds/info.ts';
import type { Language } from '../language.ts';
import type { Outcome } from './send.ts';

/** The state of an identity as the bot tells it. */
export type Facts = Pick<
  IdentityInfo,
  | 'pds_handle'
  | 'pds_did'
  | 'pds_endpoint'
  | 'status'
  | 'verification_status'
  | 'provisioning_step'
  | 'error'
  | 'left_at'
>;
export function factsOf({ pnptv_uuid: _uuid, created_at: _created, ...facts }: IdentityInfo): Facts {
  return facts;
}

/** Which identity changes accounts; `due_at`: when it will, once that is known. */
export type JoinFacts = { join_id: number; pds_handle: string | null; due_at: string | null };

/** What the bot says, with the facts for it. */
export type Saying =
  | {
      kind: 'welcome' | 'identity' | 'status' | 'retried' | 'ready' | 'failed' | 'moved' | 'move_failed';
      details: Facts;
    }
  | { kind: 'recovery_key'; details: { at: string | null } }
  | { kind: 'leaving'; details: Leaving }
  | { kind: 'export'; details: ExportNews }
  | { kind: 'renamed' | 'revoked' | 'came_back'; details: Facts }
  /** Of a change that the member asked for: `error` says why. */
  | { kind: 'change_failed'; details: Facts }
  | { kind: 'operators'; details: NoticeGroup }
  | { kind: 'deletion'; details: { pds_handle: string | null; due_at: string } }
  | { kind: 'join_asked' | 'join_due' | 'join_off' | 'joined' | 'parted'; details: JoinFacts }
  | { kind: 'too_often'; details: { seconds: number } }
  | { kind: 'login' | 'stranger' | 'help'; details?: undefined };
/** How far leaving for another PDS is; `switched_off`: nor is his account here open. `by_key`: the recovery key asked for it. `at`: when it happens, or is given up. */
export type Leaving = {
  event: 'requested' | 'tomorrow' | 'waiting' | 'left' | 'failed' | 'switched_off' | 'cancelled';
  endpoint: string;
  by_key: boolean;
  at: string | null;
  why: string | null;
};
/** What became of an archive: it can be downloaded `until` then, it could not be made, or its time is over. */
export type ExportNews =
  | { event: 'ready'; bytes: number; until: string; without_repository: boolean }
  | { event: 'failed'; error: NonNullable<Facts['error']> }
  | { event: 'expired' };
/** To whom, and in which language. A `userId` is a member's; without one it is said to a stranger. */
export type Listener = { chatId: number; userId?: string | undefined; language: Language };

/** A message that this process alone may send now. */
export type Claimed = Listener & Saying & { id: number; attempts: number };

/** Longer than any send takes: then an attempt counts as lost. */
const LEASE = '1 minute';
/** After that long, what could not be sent is no news any more. */
const GIVE_UP_AFTER = '1 day';

/**
 * What is too much for one chat is its own matter, or one person who writes without end would silence the bot for all.
 * Telegram says the same where the bot as a whole is too fast, and then it says so in every chat.
 */
export const FLOODED_CHATS = 2;

/** Writes down what the bot has to say, in the caller's transaction: from its commit on it is not lost. */
export async function say(
  tx: Queryable,
  { chatId, userId, language }: Listener,
  saying: Saying,
): Promise<void> {
  const { kind, details = {} } = saying;
  await tx`
    INSERT INTO telegram_messages (chat_id, user_id, kind, language, details)
    VALUES (${chatId}, ${userId ?? null}, ${kind}, ${language}, ${tx.json(details as JsonValue)})`;
}

/**
 * Takes messages that are due, at most `limit`, the oldest first: of each chat the first one that is not sent yet, so
 * that they arrive in order. None while Telegram has told the bot to wait in {@link FLOODED_CHATS} of them. Whoever claims
 * at the same time gets others.
 */
export async function claimMessages(
  sql: Queryable,
  { limit, chatId }: { limit: number; chatId?: number | undefined },
): Promise<Claimed[]> {
  return sql<Claimed[]>`
    WITH due AS (
      SELECT id FROM telegram_messages m
      WHERE sent_at IS NULL AND gave_up_at IS NULL AND next_attempt_at <= now()
        ${chatId === undefined ? sql`` : sql`AND chat_id = ${chatId}`}
        AND NOT EXISTS (
          SELECT FROM telegram_messages before
          WHERE before.chat_id = m.chat_id AND before.id < m.id
            AND before.sent_at IS NULL AND before.gave_up_at IS NULL)
        AND (SELECT count(DISTINCT chat_id) FROM telegram_messages WHERE flood_until > now()) < ${FLOODED_CHATS}
      ORDER BY next_attempt_at, id LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE telegram_messages m SET attempts = attempts + 1, next_attempt_at = now() + ${LEASE}::interval
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.chat_id AS "chatId", m.user_id AS "userId", m.kind, m.language, m.details, m.attempts`;
}

/**
 * Writes down what became of an attempt, unless another one has begun since. Returns `given up` when a message that
 * could not be sent has grown too old for another attempt.
 */
export async function settle(
  sql: Queryable,
  { id, attempts }: Pick<Claimed, 'id' | 'attempts'>,
  outcome: Outcome & { waitSeconds?: number },
): Promise<'given up' | undefined> {
  const wait = sql`now() + make_interval(secs => ${outcome.waitSeconds ?? 0})`;
  const changes = {
    sent: sql`sent_at = now()`,
    refused: sql`gave_up_at = now(), gave_up_reason = ${outcome.reason ?? null}`,
    flood: sql`next_attempt_at = ${wait}, flood_until = ${wait}`,
    failed: sql`next_attempt_at = ${wait},
      gave_up_at = CASE WHEN created_at < now() - ${GIVE_UP_AFTER}::interval THEN now() END,
      gave_up_reason = CASE WHEN created_at < now() - ${GIVE_UP_AFTER}::interval THEN ${outcome.reason ?? null} END`,
  };
  const [settled] = await sql<{ gave_up: boolean }[]>`
    UPDATE telegram_messages SET ${changes[outcome.kind]}
    WHERE id = ${id} AND attempts = ${attempts} AND sent_at IS NULL AND gave_up_at IS NULL
    RETURNING gave_up_at IS NOT NULL AS gave_up`;
  return outcome.kind === 'failed' && settled?.gave_up ? 'given up' : undefined;
}
