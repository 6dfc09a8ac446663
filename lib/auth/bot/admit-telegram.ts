import { apiError } from '../../http/error-codes.ts';
import { equalInConstantTime } from '../../http/host.ts';
import type { Admit } from '../../http/request.ts';

/**
 * Admits what shows the secret that Telegram got with setWebhook. Throws `LOGIN_METHOD_OFF` (404) where there is none,
 * `WEBHOOK_SECRET_INVALID` (401) for any other. https://core.telegram.org/bots/api#setwebhook
 */
export function admitTelegram(secret: string | undefined): Admit {
  return async ({ headers }) => {
    if (secret === undefined) throw apiError('LOGIN_METHOD_OFF');
    if (!equalInConstantTime(headers['x-telegram-bot-api-secret-token'] ?? '', secret))
      throw apiError('WEBHOOK_SECRET_INVALID');
    return undefined;
  };
}
