import type { Secrets } from '../../config.ts';
import type { Queryable } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { makeLoginToken } from '../login/login-token.ts';
import { compose, hasLink } from './compose.ts';
import { type Claimed, claimMessages, FLOODED_CHATS, settle } from './outbox.ts';
import type { Outcome, Send } from './send.ts';

export type DeliveryDeps = {
  sql: Queryable;
  send: Send;
  sessionSecrets: Secrets;
  /** Where login links lead to. */
  appOrigin: string;
  random: () => number;
  log: Log;
  metrics: Pick<Metrics, 'count'>;
};
export type Delivered = { sent: number; refused: number; failed: number; flood: boolean };

/** What one chat gets at once after a message of its member: the new answer, and one that was left over. */
const AT_ONCE = 2;
/** Telegram takes about 30 messages a second from a bot: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits */
const ROUND = 25;
const ROUND_MS = 1_000;
const IN_PARALLEL = 5;
/** A run begins no round after that long: the next minute's run goes on. */
const RUN_MS = 20_000;
/** Backoff doubles from the first to the second, in seconds. */
const BACKOFF = { first: 5, longest: 600 };

/** Sends what waits for one chat, in order. Never throws: what does not arrive now is left to {@link deliverDue}. */
export async function deliverSoon(deps: DeliveryDeps, chatId: number): Promise<void> {
  try {
    for (let count = 0; count < AT_ONCE; count += 1) {
      const [message] = await claimMessages(deps.sql, { limit: 1, chatId });
      if (message === undefined || (await deliver(deps, message)).kind !== 'sent') return;
    }
  } catch (error) {
    deps.log.warn('a bot message was not sent at once: the next run sends it', { error });
  }
}

/**
 * Sends every message that is due: what could not be sent at once, and what waits for another attempt. Stops when
 * Telegram says that it is too much for the bot; several runs at once share the work.
 */
export async function deliverDue(
  deps: DeliveryDeps & { now: () => number; sleep: (ms: number) => Promise<unknown> },
): Promise<Delivered> {
  const total: Delivered = { sent: 0, refused: 0, failed: 0, flood: false };
  const begun = deps.now();
  for (;;) {
    const roundBegun = deps.now();
    const claimed = await claimMessages(deps.sql, { limit: ROUND });
    for (const { kind } of await deliverAll(deps, claimed)) {
      if (kind === 'flood') total.flood = true;
      else total[kind] += 1;
    }
    if (claimed.length === 0 || deps.now() - begun > RUN_MS) return total;
    if (claimed.length === ROUND) await deps.sleep(Math.max(0, ROUND_MS - (deps.now() - roundBegun)));
  }
}

/** A few at a time. When Telegram says that it is too much for the bot, the rest waits as long without being tried. */
async function deliverAll(deps: DeliveryDeps, claimed: readonly Claimed[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const left = claimed.values();
  const deliverSome = async () => {
    for (const message of left) {
      const flood = outcomes.filter(({ kind }) => kind === 'flood')[FLOODED_CHATS - 1];
      if (flood) await settle(deps.sql, message, flood);
      outcomes.push(flood ?? (await deliver(deps, message)));
    }
  };
  await Promise.all(Array.from({ length: IN_PARALLEL }, deliverSome));
  return outcomes;
}

/**
 * Sends one message and writes down what became of it. An attempt that Telegram does not answer may have arrived: then
 * its reader gets the text twice, which is better than not at all, and of a login link two that both work once.
 */
async function deliver(deps: DeliveryDeps, message: Claimed): Promise<Outcome> {
  const outcome = await trySend(deps, message);
  const waitSeconds = outcome.kind === 'flood' ? outcome.waitSeconds : backoff(message.attempts, deps.random);
  const fate = await settle(deps.sql, message, { ...outcome, waitSeconds });
  report(deps, message, outcome, fate);
  return outcome;
}

async function trySend(deps: DeliveryDeps, message: Claimed): Promise<Outcome> {
  const { chatId, userId } = message;
  const link = hasLink(message) && userId ? await newLink(deps, userId) : undefined;
  const outgoing = compose(message, link);
  if (outgoing === undefined) return { kind: 'failed', reason: `unknown kind ${message.kind}`, token: false };
  return deps.send(chatId, outgoing);
}

async function newLink({ sql, sessionSecrets, appOrigin }: DeliveryDeps, userId: string): Promise<string> {
  const { token } = await makeLoginToken({ sql, sessionSecrets }, { kind: 'link', userId });
  return `${appOrigin}/api/auth/link/${token}`;
}

function backoff(attempts: number, random: () => number): number {
  const longest = Math.min(BACKOFF.longest, BACKOFF.first * 2 ** Math.min(attempts, 20));
  return longest * (0.5 + random() / 2);
}

function report(
  { log, metrics }: DeliveryDeps,
  { id, kind, attempts }: Claimed,
  outcome: Outcome,
  fate: 'given up' | undefined,
): void {
  const fields = { message_id: id, kind, attempts, ...(outcome.reason && { reason: outcome.reason }) };
  if (outcome.kind === 'sent') {
    log.info('bot message sent', fields);
  } else if (outcome.kind === 'refused') {
    log.warn('bot message refused for good', fields);
    if (kind === 'operators') metrics.count('OperatorsChatRefused');
    else if (outcome.ours) metrics.count('BotMessageRejected');
  } else {
    log.warn(fate === 'given up' ? 'bot message given up' : 'bot message waits', fields);
    if (fate === 'given up') metrics.count('BotMessageGivenUp');
    if (outcome.kind === 'failed' && outcome.token) metrics.count('BotTokenRefused');
  }
}
