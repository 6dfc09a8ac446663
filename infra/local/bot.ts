import path from 'node:path';
import type { BotPayload } from './bot-api.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { findPlatform } from './platform-file.ts';
import { ADMIN_TELEGRAM_ID, demoTelegramId } from './telegram.ts';
import { sentTo, writeToBot } from './write-to-bot.ts';

const USAGE = `Usage: npm run bot -- NAME [TEXT] [--language TAG] [--data FOLDER]
       npm run bot -- --inbox [--data FOLDER]
  NAME            the demo member who writes to the bot, always with the same Telegram id
  TEXT            what he writes, e.g. /start; without it, what the bot has said to him is printed
  --inbox         what the bot has told the operators
  --language TAG  the language of his Telegram (en): es for Spanish
  --data FOLDER   the folder of the platform (.data)`;

const { language, data, inbox, operands } = readCommandLine(USAGE, {
  options: {
    ...COMMON_OPTIONS,
    inbox: { type: 'boolean', default: false },
    language: { type: 'string', default: 'en' },
  },
  optional: ['NAME', 'TEXT'],
});
const [name, text] = operands;
if (inbox === (name !== undefined)) refuse(USAGE, 'Say either NAME or --inbox.');
try {
  const platform = await findPlatform(path.resolve(data));
  if (name === undefined || text === undefined) {
    const said = await sentTo(platform, name === undefined ? ADMIN_TELEGRAM_ID : demoTelegramId(name));
    console.log(
      said.map(show).join('\n\n---\n\n') ||
        'The bot has said nothing since `npm start` (yet): it does so every minute.',
    );
  } else {
    const user = {
      id: demoTelegramId(name),
      first_name: name,
      username: name,
      language_code: language,
    };
    const answers = await writeToBot(platform, user, text);
    for (const answer of answers) console.log(show(answer));
    if (answers.length === 0) console.log('The bot has not answered (yet): it is asked too often, or waits.');
  }
} catch (error) {
  fail(error);
}

/** A message as a terminal shows it: without markup, the button as a line. */
function show({ text = '', reply_markup: markup }: BotPayload): string {
  const plain = text
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
  const buttons = markup?.inline_keyboard.flat().map((button) => `[${button.text}] ${button.url}`) ?? [];
  return [plain, ...buttons].join('\n\n');
}
