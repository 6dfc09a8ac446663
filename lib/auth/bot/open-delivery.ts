import type { Settings } from '../../config.ts';
import type { Sql } from '../../db/connect.ts';
import type { DeliveryDeps } from './deliver.ts';
import { openBotApi } from './send.ts';

/** What a function reads that lets the bot speak. */
export const BOT_SETTINGS = [
  'PDS_APP_ORIGIN',
  'SESSION_SECRET',
  'TELEGRAM_API_ROOT',
  'TELEGRAM_BOT_TOKEN',
] as const;

/** The bot's mouth, but for the log of each request. Once, at module scope. */
export function openDelivery(
  sql: Sql,
  settings: Settings<(typeof BOT_SETTINGS)[number]>,
  { timeoutSeconds }: { timeoutSeconds: number },
): Omit<DeliveryDeps, 'log' | 'metrics'> {
  const { TELEGRAM_BOT_TOKEN: token, TELEGRAM_API_ROOT: apiRoot } = settings;
  return {
    sql,
    send: openBotApi({ token, apiRoot, timeoutSeconds }),
    sessionSecrets: settings.SESSION_SECRET,
    appOrigin: settings.PDS_APP_ORIGIN,
    random: Math.random,
  };
}
