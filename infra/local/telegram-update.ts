import { randomInt } from 'node:crypto';
import type { TelegramUser } from './telegram.ts';

/**
 * An update as Telegram posts it to the webhook when somebody writes to the bot in private.
 * @see https://core.telegram.org/bots/api#update
 */
export function privateMessage(
  user: TelegramUser & { language_code?: string },
  text: string,
  updateId: number = randomInt(1, 2 ** 31),
) {
  const { photo_url: _, ...from } = user;
  const command = /^\/\w+(@\w+)?/.exec(text)?.[0];
  return {
    update_id: updateId,
    message: {
      message_id: updateId,
      date: Math.floor(Date.now() / 1000),
      from: { ...from, is_bot: false },
      chat: { id: user.id, type: 'private', first_name: user.first_name },
      text,
      ...(command && { entities: [{ type: 'bot_command', offset: 0, length: command.length }] }),
    },
  };
}
