import { Api, GrammyError } from 'grammy/web';
import { redactText } from '../../observability/redact.ts';

/** A message in Telegram's HTML, with a link under it. */
export type Outgoing = { text: string; button?: { text: string; url: string } };

/** What became of an attempt to send a message. `reason` never holds the bot's token or the message. */
export type Outcome =
  | { kind: 'sent'; reason?: undefined }
  /** Telegram takes nothing from the bot for `waitSeconds`. */
  | { kind: 'flood'; waitSeconds: number; reason: string }
  /** It can never be sent: the member has blocked the bot, or what we send is wrong (`ours`). */
  | { kind: 'refused'; reason: string; ours: boolean }
  /** It may be sent later; perhaps it was sent. `token`: Telegram does not know the bot by this token. */
  | { kind: 'failed'; reason: string; token: boolean };

export type Send = (chatId: number, message: Outgoing) => Promise<Outcome>;

/** How long to wait where Telegram says that it was too much, but not for how long, or for no time. */
const FLOOD_SECONDS = 5;
const LONGEST_REASON = 200;
/** Not ours to mend: https://core.telegram.org/bots/api#making-requests has no list, these are its descriptions. */
const NOBODY_THERE = /chat not found|user not found|peer_id_invalid|user is deactivated/i;

/** Telegram's Bot API as far as the bot speaks. `timeoutSeconds`: longer than that nobody waits for it. */
export function openBotApi({ token, apiRoot, timeoutSeconds }: BotApi): Send {
  const api = new Api(token, {
    apiRoot: apiRoot.replace(/\/+$/, ''),
    timeoutSeconds,
    baseFetchConfig: { redirect: 'error' },
  });
  return async (chatId, { text, button }) => {
    try {
      await api.sendMessage(chatId, text, {
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        ...(button && { reply_markup: { inline_keyboard: [[button]] } }),
      });
      return { kind: 'sent' };
    } catch (error) {
      return outcomeOf(error);
    }
  };
}
type BotApi = { token: string; apiRoot: string; timeoutSeconds: number };

/** @NOTE grammY's errors carry the payload, and those of the network the URL with the token: neither is handed on. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof GrammyError))
    return { kind: 'failed', reason: 'no answer from Telegram', token: false };
  const { error_code: code, parameters } = error;
  const reason = redactText(`${code}: ${error.description}`).slice(0, LONGEST_REASON);
  if (code === 429) return { kind: 'flood', waitSeconds: parameters.retry_after || FLOOD_SECONDS, reason };
  if (code === 403) return { kind: 'refused', reason, ours: false };
  if (code === 400) return { kind: 'refused', reason, ours: !NOBODY_THERE.test(reason) };
  return { kind: 'failed', reason, token: code === 401 || code === 404 };
}
