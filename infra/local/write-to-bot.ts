import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../lib/app-error.ts';
import { telegramWebhook } from '../../lib/auth/api.ts';
import { BOT_API_PATH, type BotPayload } from './bot-api.ts';
import type { PlatformFile } from './platform-file.ts';
import type { TelegramUser } from './telegram.ts';
import { privateMessage } from './telegram-update.ts';

type Place = Pick<PlatformFile, 'url' | 'botToken' | 'webhookSecret'>;

/** The delivery comes every minute; who is answered at once is answered much sooner. */
const PATIENCE_MS = 5_000;

/** Writes to the bot as Telegram would hand it on, and returns what it answers; nothing if it does not answer soon. */
export async function writeToBot(
  place: Place,
  user: TelegramUser & { language_code?: string },
  text: string,
): Promise<BotPayload[]> {
  const known = await sentTo(place, user.id);
  const response = await fetch(`${place.url}${telegramWebhook.path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-telegram-bot-api-secret-token': place.webhookSecret,
    },
    body: JSON.stringify(privateMessage(user, text)),
  });
  if (!response.ok)
    throw new AppError('UPDATE_REFUSED', `The webhook answered ${response.status}: ${await response.text()}`);
  return newAnswers(place, user.id, known.length);
}

async function newAnswers(place: Place, chatId: number, known: number): Promise<BotPayload[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const sent = await sentTo(place, chatId);
    if (sent.length > known || performance.now() > deadline) return sent.slice(known);
    await sleep(100);
  }
}

/** What the bot has said in a chat, since the platform was started. */
export async function sentTo({ url, botToken }: Place, chatId: number): Promise<BotPayload[]> {
  const response = await fetch(`${url}${BOT_API_PATH}/bot${botToken}/_sent?chat_id=${chatId}`);
  return ((await response.json()) as { result: BotPayload[] }).result;
}
