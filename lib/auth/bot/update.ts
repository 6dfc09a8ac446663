import * as z from 'zod/mini';
import { type Language, languageOf } from '../language.ts';
import type { LoginProfile } from '../login/log-in.ts';
import { storableText } from '../login/storable-text.ts';

/** A message that somebody wrote to the bot, as far as we read it. */
export type Incoming = {
  chatId: number;
  sender: LoginProfile;
  language: Language;
  /** The command that it begins with, in lower case, and the bot that it is for, if it says so. */
  command: { name: string; bot: string | undefined } | undefined;
};

const privateMessage = z.object({
  chat: z.object({ id: z.int(), type: z.literal('private') }),
  from: z.object({
    id: z.int().check(z.positive()),
    is_bot: z.literal(false),
    first_name: z.optional(storableText(255)),
    last_name: z.optional(storableText(255)),
    username: z.optional(storableText(255)),
    language_code: z.optional(z.string()),
  }),
  text: z.optional(z.string()),
});
const COMMAND = /^\/(\w{1,32})(?:@(\w{1,64}))?(?=\s|$)/;

/**
 * The message of an update, if a person wrote it to the bot in private; undefined for any other: of a group, a channel,
 * another bot, or of a form that we do not know. https://core.telegram.org/bots/api#message
 */
export function readMessage(message: unknown): Incoming | undefined {
  const { success, data } = privateMessage.safeParse(message);
  if (!success) return undefined;
  const { language_code: tag, is_bot: _, ...sender } = data.from;
  const [, name, bot] = COMMAND.exec(data.text ?? '') ?? [];
  return {
    chatId: data.chat.id,
    sender,
    language: languageOf(tag),
    command: name === undefined ? undefined : { name: name.toLowerCase(), bot },
  };
}
