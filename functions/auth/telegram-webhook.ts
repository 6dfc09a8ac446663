import { telegramWebhook } from '../../lib/auth/api.ts';
import { admitTelegram } from '../../lib/auth/bot/admit-telegram.ts';
import { answerUpdate } from '../../lib/auth/bot/answer-update.ts';
import { deliverSoon } from '../../lib/auth/bot/deliver.ts';
import { BOT_SETTINGS, openDelivery } from '../../lib/auth/bot/open-delivery.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { route } from '../../lib/http/route.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, members, arrivals, ...api } = await openDoor([
  ...BOT_SETTINGS,
  'TELEGRAM_BOT_USERNAME',
  'TELEGRAM_WEBHOOK_SECRET',
]);
const metrics = openMetrics('auth');
const bot = { ...members, limit: api.limit, botUsername: settings.TELEGRAM_BOT_USERNAME };
// Telegram waits for our answer: what takes longer is sent within a minute.
const delivery = openDelivery(api.sql, settings, { timeoutSeconds: 3 });
const admit = admitTelegram(settings.TELEGRAM_WEBHOOK_SECRET);

export const handler = route(telegramWebhook, { ...api, admit }, async ({ body, log }) => {
  const answered = await answerUpdate(bot, body);
  if (answered === undefined) return { handled: false };
  const { chatId, saying, identity, queued } = answered;
  log.info('bot answers', { kind: saying.kind, ...(identity && { pnptv_uuid: identity.pnptv_uuid }) });
  await Promise.all([
    wakeWorker({ ...arrivals, log }, queued),
    deliverSoon({ ...delivery, log, metrics }, chatId),
  ]);
  metrics.flush();
  return { handled: true };
});
