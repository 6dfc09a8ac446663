import type { Queryable } from '../../db/connect.ts';
import { findIdentity } from '../../pds/info.ts';
import type { Language } from '../language.ts';
import { type Facts, factsOf, type Saying, say } from './outbox.ts';

/**
 * Notes that the bot may write to a member of its own accord, and in which language: he has written to it, or allowed it
 * in the Mini App. To all others it may not: bots cannot begin a conversation (https://core.telegram.org/bots/features).
 */
export async function noteWritable(
  sql: Queryable,
  { userId, language }: { userId: string; language: Language },
): Promise<void> {
  await sql`
    UPDATE users SET bot_language = ${language} WHERE id = ${userId} AND bot_language IS DISTINCT FROM ${language}`;
}

/** What the bot says of its own accord. */
type News =
  | 'ready'
  | 'failed'
  | 'moved'
  | 'move_failed'
  | 'renamed'
  | 'revoked'
  | 'came_back'
  | 'change_failed';

/**
 * Has the bot tell a member how the making of his identity ended, or a change of it, if it may write to him: in the
 * caller's transaction, which says that it ended. `error`: why a change could not be done.
 */
export async function tellMember(
  tx: Queryable,
  userId: string,
  kind: News,
  error?: Facts['error'],
): Promise<void> {
  const identity = await findIdentity({ sql: tx, provisioningEnabled: true }, userId);
  await sayTo(tx, userId, { kind, details: { ...factsOf(identity), ...(error && { error }) } });
}

/** Has the bot say something to a member, if it may write to him, in the caller's transaction. */
export async function sayTo(tx: Queryable, userId: string, saying: Saying): Promise<void> {
  const [member] = await tx<{ language: Language | null }[]>`
    SELECT bot_language AS language FROM users WHERE id = ${userId}`;
  if (!member?.language) return;
  // A private chat has the id of its person.
  await say(tx, { chatId: Number(userId), userId, language: member.language }, saying);
}
