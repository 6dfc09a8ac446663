import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../lib/app-error.ts';
import { telegramWebhook } from '../../lib/auth/api.ts';
import { BOT_API_PATH, type BotPayload } from './bot-api.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform, type PlatformFile } from './platform-file.ts';
import { demoTelegramId } from './telegram.ts';
import { privateMessage } from './telegram-update.ts';

const USAGE = `Usage: npm run bot -- NAME TEXT [--language TAG] [--data FOLDER]
  NAME            the demo member who writes to the bot, always with the same Telegram id
  TEXT            what he writes, e.g. /start
  --language TAG  the language of his Telegram (en): es for Spanish
  --data FOLDER   the folder of the platform (.data)`;

/** The delivery comes every minute; who is answered at once is answered much sooner. */
const PATIENCE_MS = 5_000;

const { language, data, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, language: { type: 'string', default: 'en' } },
  operands: ['NAME', 'TEXT'],
});
const [name = '', text = ''] = operands;
try {
  const platform = await findPlatform(path.resolve(data));
  const user = { id: demoTelegramId(name), first_name: name, username: name, language_code: language };
  const before = await sentTo(platform, user.id);
  await post(platform, privateMessage(user, text));
  const answers = await newAnswers(platform, user.id, before.length);
  for (const answer of answers) console.log(show(answer));
  if (answers.length === 0) console.log('The bot has not answered (yet): it is asked too often, or waits.');
} catch (error) {
  fail(error);
}

async function post({ url, webhookSecret }: PlatformFile, update: object): Promise<void> {
  const response = await fetch(`${url}${telegramWebhook.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': webhookSecret },
    body: JSON.stringify(update),
  });
  if (!response.ok)
    throw new AppError('UPDATE_REFUSED', `The webhook answered ${response.status}: ${await response.text()}`);
}

async function newAnswers(platform: PlatformFile, chatId: number, known: number): Promise<BotPayload[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const sent = await sentTo(platform, chatId);
    if (sent.length > known || performance.now() > deadline) return sent.slice(known);
    await sleep(100);
  }
}

async function sentTo({ url, botToken }: PlatformFile, chatId: number): Promise<BotPayload[]> {
  const response = await fetch(`${url}${BOT_API_PATH}/bot${botToken}/_sent?chat_id=${chatId}`);
  return ((await response.json()) as { result: BotPayload[] }).result;
}

/** A message as a terminal shows it: without markup, the button as a line. */
function show({ text = '', reply_markup: markup }: BotPayload): string {
  const plain = text
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
  const buttons = markup?.inline_keyboard.flat().map((button) => `[${button.text}] ${button.url}`) ?? [];
  return [plain, ...buttons].join('\n\n');
}
