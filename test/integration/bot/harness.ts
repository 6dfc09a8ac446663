import { createServer } from 'node:http';
import postgres from 'postgres';
import { vi } from 'vitest';
import { listen } from '../../../infra/local/aws/http-server.ts';
import { BOT_API_PATH, type BotApi, type BotPayload, openBotApi } from '../../../infra/local/bot-api.ts';
import type { TelegramUser } from '../../../infra/local/telegram.ts';
import { privateMessage } from '../../../infra/local/telegram-update.ts';
import { telegramWebhook } from '../../../lib/auth/api.ts';
import { type DeliveryDeps, deliverDue } from '../../../lib/auth/bot/deliver.ts';
import { openDelivery } from '../../../lib/auth/bot/open-delivery.ts';
import { connect } from '../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { openLog } from '../../../lib/observability/log.ts';
import { freshDatabase } from '../../setup/database.ts';
import {
  APP_HOST,
  BOT_TOKEN,
  type Call,
  call,
  newcomer,
  SESSION_SECRET,
  setEnvironment,
  WEBHOOK_SECRET,
} from '../http/app.ts';

const APP_ORIGIN = `http://${APP_HOST}`;

export type Writer = TelegramUser & { language_code?: string };
/** The bot, with a database and a stand-in for Telegram of its own. */
export type TestBot = Awaited<ReturnType<typeof openTestBot>>;

/** Everything that is printed from now on: what a Lambda prints is what it logs. */
function listenIn(): string[] {
  process.env.POWERTOOLS_LOG_LEVEL = 'DEBUG';
  const printed: string[] = [];
  const take = (chunk: unknown) => {
    printed.push(String(chunk));
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(take);
  vi.spyOn(process.stderr, 'write').mockImplementation(take);
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
    vi.spyOn(console, method).mockImplementation(take);
  return printed;
}

export async function openTestBot() {
  const database = await freshDatabase();
  const telegram = openBotApi({ botToken: BOT_TOKEN });
  const server = await listen(
    createServer((request, response) => {
      void telegram.route(request, response, new URL(request.url ?? '', 'http://localhost').pathname);
    }),
    { name: 'the stand-in for Telegram' },
  );
  const apiRoot = `${server.url}${BOT_API_PATH}`;
  setEnvironment(database, { TELEGRAM_API_ROOT: apiRoot });
  const printed = listenIn();
  const db = postgres(database.superuserUrl, { max: 4 });
  const api = connect(database.apiUrl, { max: 12 });
  const { handler } = await import('../../../functions/auth/telegram-webhook.ts');
  const counted: string[] = [];
  const delivery: DeliveryDeps & { now: () => number; sleep: () => Promise<void> } = {
    ...openDelivery(
      api,
      {
        PDS_APP_ORIGIN: APP_ORIGIN,
        SESSION_SECRET: [SESSION_SECRET],
        TELEGRAM_API_ROOT: apiRoot,
        TELEGRAM_BOT_TOKEN: BOT_TOKEN,
      },
      { timeoutSeconds: 1 },
    ),
    random: () => 0.5,
    log: openLog('deliver-messages'),
    metrics: { count: (name) => void counted.push(name) },
    now: () => performance.now(),
    sleep: async () => {},
  };
  return {
    database,
    db,
    api,
    telegram,
    printed,
    counted,
    delivery,
    handler,
    post: (update: unknown, options: Call = {}) => postTo(handler, update, options),
    write: (user: Writer, text: string) => postTo(handler, privateMessage(user, text)),
    /** What the bot has said to somebody, in order. */
    said: (user: Pick<TelegramUser, 'id'>) => sentTo(telegram, user),
    /** The run of the schedule. */
    deliver: () => deliverDue(delivery),
    /** Lets time pass for all messages that wait, and for what Telegram wanted to be left in peace. */
    pass: async (interval: string) => {
      await db`
        UPDATE telegram_messages SET created_at = created_at - ${interval}::interval,
          next_attempt_at = next_attempt_at - ${interval}::interval, flood_until = flood_until - ${interval}::interval`;
    },
    waiting: async (user: Pick<TelegramUser, 'id'>) =>
      db<{ kind: string; attempts: number; gave_up_reason: string | null; wait: number; flood: boolean }[]>`
        SELECT kind, attempts, gave_up_reason, extract(epoch FROM next_attempt_at - now())::float8 AS wait,
          coalesce(flood_until > now(), false) AS flood
        FROM telegram_messages WHERE chat_id = ${user.id} AND sent_at IS NULL ORDER BY id`,
    close: async () => {
      vi.restoreAllMocks();
      await Promise.all([db.end(), api.end()]);
      await server.stop();
      await database.drop();
    },
  };
}

function postTo(handler: ApiHandler, update: unknown, options: Call = {}) {
  const headers = { 'x-telegram-bot-api-secret-token': WEBHOOK_SECRET };
  return call(handler, telegramWebhook, { body: update, headers, ...options });
}

function sentTo({ calls }: Pick<BotApi, 'calls'>, { id }: Pick<TelegramUser, 'id'>): BotPayload[] {
  return calls.filter(({ payload }) => payload.chat_id === id).map(({ payload }) => payload);
}

/** Somebody who was never here before, with his Telegram in this language. */
export function writer(language?: string): Writer & { username: string } {
  return { ...newcomer(), ...(language !== undefined && { language_code: language }) };
}

/** The URL of a message's button. */
export function linkOf(message: BotPayload | undefined): string {
  return message?.reply_markup?.inline_keyboard[0]?.[0]?.url ?? '';
}
