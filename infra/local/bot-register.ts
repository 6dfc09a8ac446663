import { Api } from 'grammy/web';
import { AppError } from '../../lib/app-error.ts';
import { telegramWebhook } from '../../lib/auth/api.ts';
import { TEXTS } from '../../lib/auth/bot/texts.ts';
import { readSettings } from '../../lib/config.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';

const USAGE = `Usage: npm run bot:register
Tells Telegram where the bot's updates go and which commands it has. Reads PDS_APP_ORIGIN, TELEGRAM_BOT_TOKEN and
TELEGRAM_WEBHOOK_SECRET (or the two as …_SECRET_ARN: the name of a secret), and TELEGRAM_API_ROOT from the environment.`;

readCommandLine(USAGE, { options: { help: COMMON_OPTIONS.help } });
try {
  const settings = await readSettings([
    'PDS_APP_ORIGIN',
    'TELEGRAM_API_ROOT',
    'TELEGRAM_BOT_TOKEN',
    'TELEGRAM_WEBHOOK_SECRET',
  ]);
  const { TELEGRAM_WEBHOOK_SECRET: secret } = settings;
  if (!secret) throw new AppError('SETTINGS_INVALID', 'TELEGRAM_WEBHOOK_SECRET: is missing');
  const api = new Api(settings.TELEGRAM_BOT_TOKEN, {
    apiRoot: settings.TELEGRAM_API_ROOT,
    timeoutSeconds: 20,
  });
  const url = `${settings.PDS_APP_ORIGIN}${telegramWebhook.path}`;
  await api.setWebhook(url, { secret_token: secret, allowed_updates: ['message'] });
  await api.setMyCommands(menu('en'));
  await api.setMyCommands(menu('es'), { language_code: 'es' });
  console.log(`Telegram sends what is written to the bot to ${url}; its menu is in English and Spanish.`);
} catch (error) {
  // grammY's messages name the method and Telegram's reason; the rest of its errors is not for a terminal.
  fail(
    error instanceof Error && !(error instanceof AppError) ? new AppError('TELEGRAM', error.message) : error,
  );
}

function menu(language: keyof typeof TEXTS) {
  return Object.entries(TEXTS[language].commands).map(([command, description]) => ({ command, description }));
}
