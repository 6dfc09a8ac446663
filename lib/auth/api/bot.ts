import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { readMessage } from '../bot/update.ts';

/** Commands that one member may give: whoever gives more is not answered. */
export const COMMANDS = { max: 20, windowSeconds: 60 } as const;

/**
 * Whatever else an update holds is none of our business, and whatever we do not understand is no reason to refuse it:
 * Telegram would only send it again.
 */
export const telegramUpdate = z.object({
  update_id: z.int(),
  message: z.pipe(z.optional(z.unknown()), z.transform(readMessage)),
});

export const telegramWebhook = contract({
  operationId: 'telegramWebhook',
  summary: 'What somebody wrote to the bot, as Telegram sends it; the bot answers in the chat',
  method: 'POST',
  path: '/telegram/webhook',
  access: 'telegram',
  host: 'app',
  body: telegramUpdate,
  maxBodyBytes: 256 * 1024,
  data: z.object({ handled: z.boolean() }),
  errors: ['LOGIN_METHOD_OFF'],
});
