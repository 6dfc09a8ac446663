import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LocalRoute } from './http-api/gateway.ts';

/** Where the stand-in for the Bot API lies on the app's own host: TELEGRAM_API_ROOT on this machine. */
export const BOT_API_PATH = '/_local/telegram';

/** A call of the Bot API, e.g. sendMessage with its fields. */
export type BotCall = { method: string; payload: BotPayload; at: Date };
export type BotPayload = {
  chat_id?: number;
  text?: string;
  reply_markup?: { inline_keyboard: { text: string; url: string }[][] };
  [field: string]: unknown;
};
/** What the stand-in answers instead of doing what it is asked: with this status and body, or never. */
export type Mishap = { status: number; body: unknown; headers?: Record<string, string> } | 'hang';

export type BotApi = {
  route: LocalRoute;
  /** What the bot has done, in order; mishaps included. */
  calls: readonly BotCall[];
  /** Lets calls go wrong from now on: as long as this returns something. */
  goWrong(mishap: (call: BotCall) => Mishap | undefined): void;
};

const MOST_KEPT = 1_000;

/**
 * Stands in for Telegram's Bot API: `POST /bot<token>/<method>` with a JSON body is answered as Telegram does and
 * recorded, `GET /bot<token>/_sent?chat_id=…` lists what was sent to a chat. Lives only here, in no deployment.
 * @see https://core.telegram.org/bots/api#making-requests
 */
export function openBotApi({ botToken }: { botToken: string }): BotApi {
  const calls: BotCall[] = [];
  let mishapOf: (call: BotCall) => Mishap | undefined = () => undefined;
  let lastMessageId = 0;

  const route: LocalRoute = async (request, response, path) => {
    const [, token, method = ''] = /^\/_local\/telegram\/bot([^/]+)\/(\w+)$/.exec(path) ?? [];
    if (token === undefined) return false;
    if (token !== botToken) return refuse(response, 401, 'Unauthorized');
    if (method === '_sent') return answer(response, 200, { ok: true, result: sentTo(request) });
    if (request.method !== 'POST') return refuse(response, 404, 'Not Found');
    const call = { method, payload: await readPayload(request), at: new Date() };
    calls.push(call);
    calls.splice(0, calls.length - MOST_KEPT);
    const mishap = mishapOf(call);
    if (mishap === 'hang') return true;
    if (mishap) return answer(response, mishap.status, mishap.body, mishap.headers);
    return perform(response, call);
  };

  function perform(response: ServerResponse, { method, payload, at }: BotCall): boolean {
    if (method !== 'sendMessage') return answer(response, 200, { ok: true, result: true });
    const { chat_id: chatId, text } = payload;
    if (typeof text !== 'string' || text === '')
      return refuse(response, 400, 'Bad Request: message text is empty');
    if (typeof chatId !== 'number') return refuse(response, 400, 'Bad Request: chat not found');
    lastMessageId += 1;
    const date = Math.floor(at.getTime() / 1000);
    const result = { message_id: lastMessageId, date, chat: { id: chatId, type: 'private' }, text };
    return answer(response, 200, { ok: true, result });
  }

  function sentTo(request: IncomingMessage): BotPayload[] {
    const chatId = Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('chat_id'));
    return calls
      .filter(({ method, payload }) => method === 'sendMessage' && payload.chat_id === chatId)
      .map(({ payload }) => payload);
  }

  return {
    route,
    calls,
    goWrong: (mishap) => {
      mishapOf = mishap;
    },
  };
}

async function readPayload(request: IncomingMessage): Promise<BotPayload> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return {};
  }
}

function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): true {
  response.writeHead(status, headers);
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
  return true;
}

function refuse(response: ServerResponse, code: number, description: string): true {
  return answer(response, code, { ok: false, error_code: code, description });
}
