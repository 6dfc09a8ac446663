import type * as z from 'zod/mini';
import { AppError } from '../../app-error.ts';
import type { Transaction } from '../../db/connect.ts';
import { retryProvision } from '../../pds/api.ts';
import { findIdentity, type IdentityInfo } from '../../pds/info.ts';
import { requestProvisioningIn } from '../../pds/request-provisioning.ts';
import type { QueueId } from '../../provisioning/queue/queue.ts';
import { COMMANDS, type telegramUpdate } from '../api/bot.ts';
import { type LoginDeps, welcome } from '../login/log-in.ts';
import { type Limiter, limitUse } from '../rate-limit.ts';
import { factsOf, type Saying, say } from './outbox.ts';
import { noteWritable } from './tell-member.ts';
import { type Command, TEXTS } from './texts.ts';
import type { Incoming } from './update.ts';

type Update = z.output<typeof telegramUpdate>;
type Deps = LoginDeps & { limit: Limiter; botUsername: string };
/** What is said, the member's identity if he is one, and the work that it set in motion. */
type Answer = { saying: Saying; identity?: IdentityInfo; queued?: QueueId | undefined };
/** There is something to send to this chat, and perhaps work for the worker. */
export type Answered = { chatId: number } & Answer;

/**
 * Does what a message to the bot asks for and writes the answer down. All of that is one transaction with the update's
 * own number, so that an update which comes again, as Telegram does when it missed our answer, does nothing more.
 * Undefined for what is not answered: no private message of a person, a command for another bot, an update that was
 * here before, and a member who writes more than {@link COMMANDS} allows.
 */
export async function answerUpdate(
  deps: Deps,
  { update_id: id, message }: Update,
): Promise<Answered | undefined> {
  if (message === undefined || isForAnother(message, deps.botUsername)) return undefined;
  const userId = String(message.sender.id);
  const tooOften = await secondsToWait(() => deps.limit('bot', userId, COMMANDS));
  if (tooOften !== undefined) return undefined;
  return deps.sql.begin(async (tx) => {
    const news = await tx`
      INSERT INTO telegram_updates (update_id) VALUES (${id}) ON CONFLICT (update_id) DO NOTHING`;
    if (news.count === 0) return undefined;
    const { chatId, language } = message;
    const answer = await ANSWERS[commandOf(message)](tx, deps, message);
    if (answer.identity) await noteWritable(tx, { userId, language });
    await say(tx, { chatId, language, userId: answer.identity && userId }, answer.saying);
    return { chatId, ...answer };
  });
}

function isForAnother({ command }: Incoming, botUsername: string): boolean {
  return command?.bot !== undefined && command.bot.toLowerCase() !== botUsername.toLowerCase();
}

function commandOf({ command }: Incoming): Command {
  const name = command?.name ?? '';
  return Object.hasOwn(TEXTS.en.commands, name) ? (name as Command) : 'help';
}

const ANSWERS: Readonly<
  Record<Command, (tx: Transaction, deps: Deps, message: Incoming) => Promise<Answer> | Answer>
> = {
  async start(tx, deps, { sender }) {
    const { identity, queued } = await comeIn(tx, deps, sender);
    return { saying: { kind: 'welcome', details: factsOf(identity) }, identity, queued };
  },
  async login(tx, deps, { sender }) {
    const { identity, queued } = await comeIn(tx, deps, sender);
    return { saying: { kind: 'login' }, identity, queued };
  },
  identity: (tx, deps, { sender }) => tell(tx, deps, sender, 'identity'),
  status: (tx, deps, { sender }) => tell(tx, deps, sender, 'status'),
  async retry(tx, deps, { sender }) {
    const userId = String(sender.id);
    const identity = await identityOf(tx, deps, userId);
    if (identity === undefined) return STRANGER;
    // Counted with the route of the same name.
    const { operationId, limits } = retryProvision;
    const seconds = await secondsToWait(() => limitUse(tx, operationId, userId, limits.member));
    if (seconds !== undefined) return { saying: { kind: 'too_often', details: { seconds } }, identity };
    const retried = await requestProvisioningIn(tx, deps, { userId, requestedBy: userId });
    return { ...retried, saying: { kind: 'retried', details: factsOf(retried.identity) } };
  },
  help: () => ({ saying: { kind: 'help' } }),
};

const STRANGER: Answer = { saying: { kind: 'stranger' } };

/** Telegram vouches for who writes to the bot, and tells all about him but his picture. */
function comeIn(tx: Transaction, deps: Deps, sender: Incoming['sender']) {
  return welcome(tx, deps, sender, ['photo_url']);
}

async function tell(
  tx: Transaction,
  deps: Deps,
  { id }: Incoming['sender'],
  kind: 'identity' | 'status',
): Promise<Answer> {
  const identity = await identityOf(tx, deps, String(id));
  return identity ? { saying: { kind, details: factsOf(identity) }, identity } : STRANGER;
}

async function identityOf(tx: Transaction, deps: Deps, userId: string): Promise<IdentityInfo | undefined> {
  try {
    return await findIdentity({ ...deps, sql: tx }, userId);
  } catch (error) {
    if (error instanceof AppError && error.code === 'IDENTITY_NOT_FOUND') return undefined;
    throw error;
  }
}

/** How long whoever did something too often has to wait; undefined when he did not. */
async function secondsToWait(count: () => Promise<void>): Promise<number | undefined> {
  try {
    await count();
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === 'RATE_LIMITED') return error.retryAfter ?? 0;
    throw error;
  }
}
