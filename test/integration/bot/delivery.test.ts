import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { privateMessage } from '../../../infra/local/telegram-update.ts';
import { telegramWebhook } from '../../../lib/auth/api.ts';
import { answerUpdate } from '../../../lib/auth/bot/answer-update.ts';
import { say } from '../../../lib/auth/bot/outbox.ts';
import { openBotApi } from '../../../lib/auth/bot/send.ts';
import { BOT_TOKEN } from '../http/app.ts';
import { linkOf, openTestBot, type TestBot, type Writer, writer } from './harness.ts';

let bot: TestBot;
beforeAll(async () => {
  bot = await openTestBot();
});
beforeEach(async () => {
  bot.telegram.goWrong(() => undefined);
  bot.counted.length = 0;
  await bot.db`DELETE FROM telegram_messages`;
});
afterAll(() => bot?.close());

const error = (status: number, description: string, parameters?: object) => ({
  status,
  body: { ok: false, error_code: status, description, ...(parameters && { parameters }) },
});
const BLOCKED = error(403, 'Forbidden: bot was blocked by the user');
const texts = (user: Writer) => bot.said(user).map(({ text = '' }) => text);
const identityOf = async (user: Writer) => {
  const [row] = await bot.db`SELECT status FROM user_pds_mapping WHERE user_id = ${String(user.id)}`;
  return row;
};

describe('what could not be said at once', () => {
  it('is said by the next run: the webhook died between its commit and the call', async () => {
    const user = writer('es');
    const deps = { ...bot.delivery, sql: bot.api, adminIds: [], provisioningEnabled: true };
    const update = telegramWebhook.body.parse(privateMessage(user, '/help'));
    await answerUpdate({ ...deps, limit: async () => {}, botUsername: 'our_bot' }, update);
    expect(await bot.deliver()).toEqual({ sent: 1, refused: 0, failed: 0, flood: false });
    expect(texts(user)).toEqual([expect.stringContaining('Este bot te da')]);
    expect(await bot.deliver()).toEqual({ sent: 0, refused: 0, failed: 0, flood: false });
  });

  it('is said again when its sender died at work, and then only once: his late word does not count', async () => {
    const user = writer();
    const { claimMessages, settle } = await import('../../../lib/auth/bot/outbox.ts');
    await bot.db`INSERT INTO telegram_messages (chat_id, kind, language) VALUES (${user.id}, 'help', 'en')`;
    const [claimed] = await claimMessages(bot.api, { limit: 5 });
    expect((await bot.deliver()).sent).toBe(0);
    await bot.pass('61 seconds');
    bot.telegram.goWrong(() => error(500, 'Internal Server Error'));
    expect((await bot.deliver()).failed).toBe(1);
    if (claimed) await settle(bot.api, claimed, { kind: 'sent' });
    expect(await bot.waiting(user)).toMatchObject([{ attempts: 2 }]);
  });

  it('is said twice when it arrived and we could not write that down', async () => {
    const user = writer();
    await bot.db`ALTER TABLE telegram_messages ADD CONSTRAINT broken CHECK (sent_at IS NULL) NOT VALID`;
    try {
      expect((await bot.write(user, '/help')).data).toEqual({ handled: true });
    } finally {
      await bot.db`ALTER TABLE telegram_messages DROP CONSTRAINT broken`;
    }
    expect((await bot.deliver()).sent).toBe(0);
    await bot.pass('61 seconds');
    expect((await bot.deliver()).sent).toBe(1);
    expect(texts(user)).toHaveLength(2);
  });

  it.each([
    ['an error of the server', error(500, 'Internal Server Error')],
    [
      'a bad gateway in HTML',
      { status: 502, body: '<html>Bad Gateway</html>', headers: { 'content-type': 'text/html' } },
    ],
    ['an empty answer', { status: 200, body: '' }],
    ['JSON that is no answer', { status: 200, body: {} }],
    ['null', { status: 200, body: 'null' }],
    ['a redirect', { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } }],
    ['no answer at all', 'hang'],
  ] as const)('is tried again later after %s, and the webhook answers soon', async (_, mishap) => {
    const user = writer();
    bot.telegram.goWrong(() => mishap);
    const begun = performance.now();
    const { status, data } = await bot.write(user, '/start');
    expect([status, data]).toEqual([200, { handled: true }]);
    expect(performance.now() - begun).toBeLessThan(15_000);
    const [message] = await bot.waiting(user);
    expect(message).toMatchObject({ attempts: 1, gave_up_reason: null, flood: false });
    expect(message?.wait).toBeGreaterThan(3);
    expect(message?.wait).toBeLessThan(11);
    bot.telegram.goWrong(() => undefined);
    await bot.pass('11 seconds');
    expect((await bot.deliver()).sent).toBe(1);
    const links = bot.said(user).map(linkOf);
    // Had the first one arrived after all, it would be another link, and both would work once.
    expect([links.length, new Set(links).size]).toEqual([2, 2]);
  });

  it('waits longer each time, up to ten minutes, and is given up after a day, which raises an alarm', async () => {
    const user = writer();
    bot.telegram.goWrong(() => error(500, 'Internal Server Error'));
    await bot.write(user, '/start');
    const waits: number[] = [];
    for (let times = 0; times < 10; times += 1) {
      await bot.pass('10 minutes');
      await bot.deliver();
      waits.push((await bot.waiting(user))[0]?.wait ?? 0);
    }
    expect(waits[0]).toBeLessThan(20);
    expect(waits.at(-1)).toBeGreaterThan(290);
    expect(Math.max(...waits)).toBeLessThan(601);
    expect(bot.counted).toEqual([]);
    await bot.pass('1 day');
    await bot.deliver();
    expect(await bot.waiting(user)).toMatchObject([{ gave_up_reason: '500: Internal Server Error' }]);
    expect(bot.counted).toEqual(['BotMessageGivenUp']);
    const calls = bot.telegram.calls.length;
    await bot.pass('1 day');
    await bot.deliver();
    expect(bot.telegram.calls.length).toBe(calls);
    expect(await identityOf(user)).toEqual({ status: 'pending' });
  });

  it('is said in order within one chat, and holds up nobody else', async () => {
    const [slow, other] = [writer(), writer()];
    bot.telegram.goWrong(({ payload }) => (payload.chat_id === slow.id ? error(500, 'Oops') : undefined));
    await bot.write(slow, '/start');
    await bot.write(slow, '/identity');
    await bot.write(slow, '/help');
    await bot.write(other, '/help');
    expect(texts(other)).toHaveLength(1);
    expect(new Set(texts(slow))).toHaveLength(1); // the first, again and again
    bot.telegram.goWrong(() => undefined);
    await bot.pass('1 minute');
    const before = texts(slow).length;
    expect((await bot.deliver()).sent).toBe(3);
    expect(texts(slow).slice(before)).toEqual([
      expect.stringContaining('Welcome!'),
      expect.stringContaining('It has no name yet.'),
      expect.stringContaining('This bot gives you'),
    ]);
  });

  it('is shared by runs that overlap: each message is sent once', async () => {
    const users = Array.from({ length: 60 }, () => writer());
    await bot.db`
      INSERT INTO telegram_messages (chat_id, kind, language)
      SELECT id, 'help', 'en' FROM unnest(${users.map(({ id }) => id)}::bigint[]) id`;
    const runs = await Promise.all([bot.deliver(), bot.deliver(), bot.deliver()]);
    expect(runs.reduce((sum, { sent }) => sum + sent, 0)).toBe(60);
    for (const user of users) expect(texts(user)).toHaveLength(1);
  });

  it('waits when this version does not know what it is: a newer one wrote it', async () => {
    const user = writer();
    await bot.db`INSERT INTO telegram_messages (chat_id, kind, language) VALUES (${user.id}, 'of_tomorrow', 'en')`;
    expect((await bot.deliver()).failed).toBe(1);
    expect(texts(user)).toEqual([]);
    expect(await bot.waiting(user)).toMatchObject([{ kind: 'of_tomorrow', gave_up_reason: null }]);
  });
});

describe('when Telegram says that it is too much', () => {
  const inChats = (...users: { id: number }[]) =>
    bot.telegram.goWrong(({ payload }) =>
      users.some(({ id }) => id === payload.chat_id)
        ? error(429, 'Too Many Requests: retry after 30', { retry_after: 30 })
        : undefined,
    );

  it('in one chat, this one waits, and nobody else', async () => {
    const [flooder, other] = [writer(), writer()];
    inChats(flooder);
    await bot.write(flooder, '/start');
    await bot.write(flooder, '/help');
    await bot.write(other, '/help');
    expect([texts(flooder).length, texts(other).length]).toEqual([1, 1]);
    await bot.pass('20 seconds');
    expect(await bot.deliver()).toMatchObject({ sent: 0, flood: false });
    bot.telegram.goWrong(() => undefined);
    await bot.pass('11 seconds');
    expect((await bot.deliver()).sent).toBe(2);
  });

  it('in two chats, the bot is silent for as long as it says, to everybody, and loses nothing', async () => {
    const [first, second, third] = [writer(), writer(), writer()];
    inChats(first, second);
    await bot.write(first, '/start');
    const [message] = await bot.waiting(first);
    expect(message).toMatchObject({ flood: true, gave_up_reason: null });
    expect(message?.wait).toBeGreaterThan(28);
    expect(message?.wait).toBeLessThanOrEqual(30);
    await bot.write(second, '/start');
    bot.telegram.goWrong(() => undefined);
    await bot.write(third, '/start');
    await bot.pass('20 seconds');
    expect((await bot.deliver()).sent).toBe(0);
    expect(texts(third)).toEqual([]);
    await bot.pass('11 seconds');
    expect((await bot.deliver()).sent).toBe(3);
    expect([texts(first).length, texts(second).length, texts(third).length]).toEqual([2, 2, 1]);
  });

  it('a run stops at once: the rest of it waits without being tried', async () => {
    const users = Array.from({ length: 40 }, () => writer());
    await bot.db`
      INSERT INTO telegram_messages (chat_id, kind, language)
      SELECT id, 'help', 'en' FROM unnest(${users.map(({ id }) => id)}::bigint[]) id`;
    const before = bot.telegram.calls.length;
    bot.telegram.goWrong(() => error(429, 'Too Many Requests: retry after 3', { retry_after: 3 }));
    expect((await bot.deliver()).flood).toBe(true);
    expect(bot.telegram.calls.length - before).toBeLessThanOrEqual(6);
    bot.telegram.goWrong(() => undefined);
    await bot.pass('4 seconds');
    expect((await bot.deliver()).sent).toBe(40);
  });

  it.each([undefined, 0])('for %s seconds, it is left alone for a few all the same', async (seconds) => {
    const user = writer();
    const parameters = seconds === undefined ? undefined : { retry_after: seconds };
    bot.telegram.goWrong(() => error(429, 'Too Many Requests', parameters));
    const before = bot.telegram.calls.length;
    await bot.write(user, '/help');
    await bot.deliver();
    expect(bot.telegram.calls.length - before).toBe(1);
  });

  it('for longer than a day, even that loses nothing', async () => {
    const user = writer();
    bot.telegram.goWrong(() => error(429, 'Too Many Requests: retry after 100000', { retry_after: 100_000 }));
    await bot.write(user, '/start');
    await bot.pass('28 hours');
    bot.telegram.goWrong(() => undefined);
    expect((await bot.deliver()).sent).toBe(1);
    expect(bot.counted).toEqual([]);
  });
});

describe('when nobody is there', () => {
  it.each([BLOCKED, error(403, 'Forbidden: user is deactivated'), error(400, 'Bad Request: chat not found')])(
    'it is given up once, with a reason, without an alarm, and the identity goes on: $body.description',
    async (mishap) => {
      const user = writer();
      bot.telegram.goWrong(() => mishap);
      await bot.write(user, '/start');
      const { description, error_code: code } = mishap.body;
      expect(await bot.waiting(user)).toMatchObject([
        { attempts: 1, gave_up_reason: `${code}: ${description}` },
      ]);
      await bot.pass('1 day');
      expect(await bot.deliver()).toEqual({ sent: 0, refused: 0, failed: 0, flood: false });
      expect([texts(user).length, bot.counted]).toEqual([1, []]);
      expect(await identityOf(user)).toEqual({ status: 'pending' });
      // He unblocks the bot and comes back.
      bot.telegram.goWrong(() => undefined);
      await bot.write(user, '/start');
      expect(texts(user)).toHaveLength(2);
      expect(linkOf(bot.said(user)[1])).toContain('/api/auth/link/');
    },
  );
});

describe('the chat of the operators', () => {
  it.each([error(400, 'Bad Request: chat not found'), BLOCKED])(
    'that takes no messages raises an alarm: $body.description',
    async (mishap) => {
      const chat = -1_001_234_567_890;
      const details = {
        kind: 'circuit_open',
        subjects: ['local'],
        subject_count: 1,
        since: '',
        is_more: false,
      };
      await say(bot.api, { chatId: chat, language: 'en' }, { kind: 'operators', details });
      bot.telegram.goWrong(() => mishap);
      expect((await bot.deliver()).refused).toBe(1);
      expect(bot.counted).toEqual(['OperatorsChatRefused']);
      expect((await bot.deliver()).refused).toBe(0);
    },
  );
});

describe('when it is our own fault', () => {
  it('a message that Telegram refuses is given up with an alarm', async () => {
    const user = writer();
    bot.telegram.goWrong(() => error(400, "Bad Request: can't parse entities: Unsupported start tag"));
    await bot.db`INSERT INTO telegram_messages (chat_id, kind, language) VALUES (${user.id}, 'help', 'en')`;
    expect((await bot.deliver()).refused).toBe(1);
    expect(bot.counted).toEqual(['BotMessageRejected']);
  });

  it('with a wrong token messages wait until it is mended, with an alarm', async () => {
    const user = writer();
    await bot.db`INSERT INTO telegram_messages (chat_id, kind, language) VALUES (${user.id}, 'help', 'en')`;
    bot.telegram.goWrong(() => error(401, 'Unauthorized'));
    await bot.deliver();
    expect(bot.counted).toEqual(['BotTokenRefused']);
    bot.telegram.goWrong(() => undefined);
    await bot.pass('1 minute');
    expect((await bot.deliver()).sent).toBe(1);
  });
});

describe('the outbox', () => {
  it('holds no login link, and nothing that opens one', async () => {
    const user = writer();
    await bot.write(user, '/start');
    await bot.write(user, '/login');
    const tokens = bot.said(user).map((message) => linkOf(message).split('/').at(-1) ?? '');
    expect(tokens).toHaveLength(2);
    for (const token of tokens) {
      expect(token).toMatch(/^[\w-]{43}$/);
      for (const table of ['telegram_messages', 'login_tokens', 'users']) {
        const leaks = await bot.db`SELECT FROM ${bot.db(table)} t WHERE t::text LIKE ${`%${token}%`}`;
        expect(leaks).toHaveLength(0);
      }
    }
  });

  it('is gone with its member', async () => {
    const user = writer();
    await bot.db`INSERT INTO users (id) VALUES (${String(user.id)})`;
    await bot.db`
      INSERT INTO telegram_messages (chat_id, user_id, kind, language) VALUES (${user.id}, ${String(user.id)}, 'login', 'en')`;
    await bot.db`DELETE FROM users WHERE id = ${String(user.id)}`;
    expect(await bot.waiting(user)).toHaveLength(0);
  });
});

describe('the bot’s token', () => {
  it('is in no error when nobody can be reached', async () => {
    const send = openBotApi({ token: BOT_TOKEN, apiRoot: 'http://127.0.0.1:9/', timeoutSeconds: 1 });
    const outcome = await send(1, { text: 'hello' });
    expect(outcome).toEqual({ kind: 'failed', reason: 'no answer from Telegram', token: false });
  });

  it('and login links are in nothing that was printed', () => {
    const printed = bot.printed.join('');
    expect(printed).toContain('bot message sent');
    expect(printed).toContain('bot message waits');
    expect(printed).toContain('bot message refused for good');
    expect(printed).not.toContain(BOT_TOKEN);
    expect(printed).not.toContain(BOT_TOKEN.split(':')[1]);
    expect(printed).not.toMatch(/\/api\/auth\/link\/[\w-]{20}/);
    const links = bot.telegram.calls.map(({ payload }) => linkOf(payload).split('/').at(-1) ?? '');
    for (const token of links.filter(Boolean)) expect(printed).not.toContain(token);
  });
});
