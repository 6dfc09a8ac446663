import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { privateMessage } from '../../../infra/local/telegram-update.ts';
import { getSession, telegramWebhook, useLoginLink } from '../../../lib/auth/api.ts';
import { answerUpdate } from '../../../lib/auth/bot/answer-update.ts';
import { retryProvision } from '../../../lib/pds/api.ts';
import { type Call, call, SESSION_SECRET, WEBHOOK_SECRET } from '../http/app.ts';
import { linkOf, openTestBot, type TestBot, type Writer, writer } from './harness.ts';

let bot: TestBot;
beforeAll(async () => {
  bot = await openTestBot();
});
beforeEach(() => bot.telegram.goWrong(() => undefined));
afterAll(() => bot?.close());

const memberOf = async ({ id }: { id: number }) => {
  const [member] = await bot.db`
    SELECT username, first_name, last_name, photo_url FROM users WHERE id = ${String(id)}`;
  return member;
};
const workOf = ({ id }: { id: number }) =>
  bot.db`SELECT action, status FROM pds_provisioning_queue WHERE user_id = ${String(id)} ORDER BY id`;
const updates = async () => {
  const [row] = await bot.db<[{ count: number }]>`SELECT count(*)::int AS count FROM telegram_updates`;
  return row.count;
};
const lastSaid = (user: Writer) => bot.said(user).at(-1)?.text ?? '';
const setIdentity = (user: Writer, changes: Record<string, unknown>) =>
  bot.db`UPDATE user_pds_mapping SET ${bot.db(changes)} WHERE user_id = ${String(user.id)}`;

describe('/start', () => {
  it('makes the member and the work for his identity, and answers with its state and a link that logs him in', async () => {
    const user = writer();
    const { status, data } = await bot.write(user, '/start');
    expect([status, data]).toEqual([200, { handled: true }]);
    expect(await memberOf(user)).toMatchObject({ username: user.username, first_name: 'Alice' });
    expect(await workOf(user)).toEqual([{ action: 'create', status: 'pending' }]);
    expect(bot.said(user)).toHaveLength(1);
    const [message] = bot.said(user);
    expect(message).toMatchObject({ parse_mode: 'HTML', link_preview_options: { is_disabled: true } });
    expect(message?.text).toContain('Welcome!');
    expect(message?.text).toContain('being made (0/5): it waits for its turn.');

    const [, token = ''] =
      /^http:\/\/localhost:3001\/api\/auth\/link\/([\w-]{43})$/.exec(linkOf(message)) ?? [];
    const { handler: using } = await import('../../../functions/auth/use-login-link.ts');
    const { handler: session } = await import('../../../functions/auth/get-session.ts');
    const { cookies } = await call(using, useLoginLink, { params: { token } });
    const { data: who } = await call(session, getSession, { cookie: cookies[0]?.split(';', 1)[0] });
    expect(who.member.id).toBe(String(user.id));
  });

  it('takes over what he changed at Telegram, but for the picture, which an update does not tell', async () => {
    const user = writer();
    await bot.db`
      INSERT INTO users (id, username, last_name, photo_url) VALUES (${String(user.id)}, 'old', 'Old', 'https://t.me/p.jpg')`;
    await bot.write({ id: user.id, first_name: 'New' }, '/start');
    expect(await memberOf(user)).toEqual({
      username: null,
      first_name: 'New',
      last_name: null,
      photo_url: 'https://t.me/p.jpg',
    });
  });

  it.each(['/start@our_bot', '/START', '/start@Our_Bot from-a-deep-link', '/start ref-1', '/start\nhello'])(
    'is understood as %j',
    async (text) => {
      const user = writer();
      await bot.write(user, text);
      expect(lastSaid(user)).toContain('Welcome!');
      expect(await workOf(user)).toHaveLength(1);
    },
  );

  it('of a member who is there already makes nothing twice', async () => {
    const user = writer();
    for (let times = 0; times < 3; times += 1) await bot.write(user, '/start');
    expect(await workOf(user)).toHaveLength(1);
    const links = bot.said(user).map(linkOf);
    expect(new Set(links).size).toBe(3);
  });
});

describe('the other commands', () => {
  it.each(['/identity', '/status', '/retry'])(
    '%s of a stranger makes nothing and says what to do',
    async (text) => {
      const user = writer();
      await bot.write(user, text);
      expect(lastSaid(user)).toContain('Write /start');
      expect(await memberOf(user)).toBeUndefined();
    },
  );

  it('/login of a stranger lets him in, as any login does', async () => {
    const user = writer();
    await bot.write(user, '/login');
    expect(linkOf(bot.said(user)[0])).toMatch(/\/api\/auth\/link\/[\w-]{43}$/);
    expect(await workOf(user)).toHaveLength(1);
  });

  it('/identity and /status tell what is', async () => {
    const user = writer();
    await bot.write(user, '/start');
    await bot.write(user, '/identity');
    expect(lastSaid(user)).toContain('It has no name yet.');
    await setIdentity(user, {
      pds_handle: 'alice.pnptv.test',
      pds_did: 'did:web:alice-abc234.pnptv.test',
      pds_endpoint: 'https://pds.pnptv.test',
    });
    await bot.write(user, '/identity');
    expect(lastSaid(user)).toContain(
      'Handle: <b>@alice.pnptv.test</b>\nDID: <code>did:web:alice-abc234.pnptv.test</code>',
    );
    expect(lastSaid(user)).toContain('PDS: https://pds.pnptv.test');
    await bot.write(user, '/status');
    expect(lastSaid(user)).toContain('being made (0/5)');
  });

  it('/status of what failed says why, as text; /retry sets it going again', async () => {
    const user = writer();
    await bot.write(user, '/start');
    const id = String(user.id);
    await bot.db`UPDATE pds_provisioning_queue SET status = 'failed', attempt_count = 3 WHERE user_id = ${id}`;
    await setIdentity(user, {
      status: 'error',
      error_code: 'PDS_REJECTED',
      error_message: 'The PDS said <no> & left.',
    });
    await bot.write(user, '/status');
    expect(lastSaid(user)).toContain('could not be made. The PDS said &#60;no&#62; &#38; left.');
    await bot.write({ ...user, language_code: 'es' }, '/status');
    expect(lastSaid(user)).toContain('no se pudo crear (<code>PDS_REJECTED</code>)');
    await bot.write(user, '/retry');
    expect(lastSaid(user)).toContain('It is being tried again.');
    expect(await workOf(user)).toEqual([{ action: 'create', status: 'pending' }]);
    const [entry] = await bot.db`
      SELECT action, created_by FROM pds_provisioning_log WHERE user_id = ${id} ORDER BY id DESC LIMIT 1`;
    expect(entry).toEqual({ action: 'retry', created_by: id });
  });

  it('/retry counts together with the route: what was too often says for how long to wait', async () => {
    const user = writer('es');
    await bot.write(user, '/start');
    await bot.db`
      INSERT INTO rate_limits (bucket, window_start, hits)
      SELECT ${`${retryProvision.operationId}:${user.id}`}, date_bin('10 minutes', now(), 'epoch') + window_no * interval '10 minutes', 10
      FROM generate_series(0, 1) window_no`;
    const entries = () => bot.db`SELECT FROM pds_provisioning_log WHERE user_id = ${String(user.id)}`;
    const before = (await entries()).length;
    await bot.write(user, '/retry');
    expect(lastSaid(user)).toMatch(
      /Demasiado seguido. Vuelve a intentarlo dentro de (un minuto|\d+ minutos)\./,
    );
    expect(await entries()).toHaveLength(before);
  });

  it.each(['/help', '/unknown', '/constructor', 'hello', '', '   ', '/', '👋'])(
    '%j is answered with help',
    async (text) => {
      const user = writer();
      await bot.write(user, text);
      for (const command of ['start', 'identity', 'status', 'retry', 'login', 'help'])
        expect(lastSaid(user)).toContain(`/${command}: `);
    },
  );

  it.each([
    ['en', 'This bot gives you'],
    ['es', 'Este bot te da'],
    ['es-419', 'Este bot te da'],
    ['ES', 'Este bot te da'],
    ['est', 'This bot gives you'],
    ['zh-hans', 'This bot gives you'],
    ['', 'This bot gives you'],
    [undefined, 'This bot gives you'],
    ['\0\ud83d', 'This bot gives you'],
  ])('are answered in the language of %j', async (language, words) => {
    const user = writer(language);
    await bot.write(user, '/help');
    expect(lastSaid(user)).toContain(words);
  });
});

describe('an update is ignored, with 200 so that it does not come again,', () => {
  const ignored = async (update: object) => {
    const [messages, seen] = [bot.telegram.calls.length, await updates()];
    const { status, data } = await bot.post(update);
    expect([status, data]).toEqual([200, { handled: false }]);
    expect([bot.telegram.calls.length, await updates()]).toEqual([messages, seen]);
  };
  const start = () => privateMessage(writer(), '/start');
  const changed = (change: (message: ReturnType<typeof start>['message']) => object) => {
    const update = start();
    return { ...update, message: change(update.message) };
  };

  it.each([
    ['of a group', (message) => ({ ...message, chat: { id: -100, type: 'group', title: 'G' } })],
    ['of a supergroup', (message) => ({ ...message, chat: { id: -1001, type: 'supergroup' } })],
    ['of another bot', (message) => ({ ...message, from: { ...message.from, is_bot: true } })],
    ['of a channel, without a sender', ({ from: _, ...message }) => message],
    ['with a command for another bot', (message) => ({ ...message, text: '/start@other_bot' })],
    ['with an id as text', (message) => ({ ...message, from: { ...message.from, id: '5' } })],
    [
      'with a name that cannot be stored',
      (message) => ({ ...message, from: { ...message.from, first_name: 'a\0' } }),
    ],
    [
      'with half a surrogate pair',
      (message) => ({ ...message, from: { ...message.from, username: '\ud83d' } }),
    ],
    ['with a text that is none', (message) => ({ ...message, text: { toString: 1 } })],
    ['that is no message', () => []],
  ] as [string, (message: ReturnType<typeof start>['message']) => object][])(
    'when it is a message %s',
    (_, change) => ignored(changed(change)),
  );

  it('when it is an edited message, a button, or something that Telegram thinks of later', async () => {
    const { update_id, message } = start();
    await ignored({ update_id, edited_message: message });
    await ignored({ update_id, callback_query: { id: '1', from: message.from, data: 'x' } });
    await ignored({ update_id, my_chat_member: { chat: message.chat, from: message.from } });
    await ignored({ update_id, something_new: { deep: [[[[{}]]]] } });
    await ignored({ update_id });
    await ignored({ update_id, message: null });
  });

  it('although it is deep or long', async () => {
    const rawBody = `{"update_id": 5, "message": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const headers = { 'x-telegram-bot-api-secret-token': WEBHOOK_SECRET };
    const answer = await call(bot.handler, telegramWebhook, { rawBody, headers });
    expect([answer.status, answer.data]).toEqual([200, { handled: false }]);
    const user = writer();
    await bot.write(user, `/start ${'x'.repeat(100_000)}`);
    expect(lastSaid(user)).toContain('Welcome!');
  });
});

describe('a request is refused', () => {
  const refused = async (options: Call, status: number, code: string) => {
    const answer = await call(bot.handler, telegramWebhook, options);
    expect([answer.status, answer.error?.code]).toEqual([status, code]);
  };
  const headers = { 'x-telegram-bot-api-secret-token': WEBHOOK_SECRET };

  it('without the secret that Telegram has, whatever is in it', async () => {
    const user = writer();
    const body = privateMessage(user, '/start');
    for (const secret of [undefined, '', 'wrong', `${WEBHOOK_SECRET} `, WEBHOOK_SECRET.toUpperCase()]) {
      const forged = { 'x-telegram-bot-api-secret-token': secret };
      await refused({ body, headers: forged }, 401, 'WEBHOOK_SECRET_INVALID');
    }
    expect(await memberOf(user)).toBeUndefined();
  });

  it.each([
    ['no JSON', { rawBody: '{"update_id": 1' }, 'BODY_INVALID'],
    ['no object', { rawBody: '[1]' }, 'INPUT_INVALID'],
    ['without a number', { body: { message: {} } }, 'INPUT_INVALID'],
    ['with a number as text', { body: { update_id: '1' } }, 'INPUT_INVALID'],
    ['with a number beyond what counts exactly', { body: { update_id: 2 ** 60 } }, 'INPUT_INVALID'],
    ['longer than any update', { body: { update_id: 1, x: 'x'.repeat(300_000) } }, 'BODY_INVALID'],
  ])('that is no update: %s', (_, options, code) => refused({ ...options, headers }, 400, code));

  it('where no secret is set', async () => {
    process.env.TELEGRAM_WEBHOOK_SECRET = '';
    vi.resetModules();
    const closed = await import('../../../functions/auth/telegram-webhook.ts');
    for (const secret of ['', WEBHOOK_SECRET]) {
      const forged = { 'x-telegram-bot-api-secret-token': secret };
      const answer = await call(closed.handler, telegramWebhook, { body: { update_id: 1 }, headers: forged });
      expect([answer.status, answer.error?.code]).toEqual([404, 'LOGIN_METHOD_OFF']);
    }
  });
});

describe('many at once', () => {
  const deps = () => ({
    sql: bot.api,
    sessionSecrets: [SESSION_SECRET] as const,
    adminIds: [],
    provisioningEnabled: true,
    limit: async () => {},
    botUsername: 'our_bot',
  });
  const parsed = (update: object) => telegramWebhook.body.parse(update);

  it('an update that comes again, one after the other or all at once, does its work once', async () => {
    const user = writer();
    const update = privateMessage(user, '/start');
    const answers = await Promise.all(Array.from({ length: 12 }, () => answerUpdate(deps(), parsed(update))));
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
    expect((await bot.post(update)).data).toEqual({ handled: false });
    expect(await bot.waiting(user)).toHaveLength(1);
    expect(await workOf(user)).toHaveLength(1);
    await bot.deliver();
    expect(bot.said(user)).toHaveLength(1);
  });

  it('a hundred people are each welcomed once', async () => {
    const users = Array.from({ length: 100 }, () => writer());
    await Promise.all(users.map((user) => answerUpdate(deps(), parsed(privateMessage(user, '/start')))));
    expect((await bot.deliver()).sent).toBe(100);
    for (const user of users) {
      expect(bot.said(user)).toHaveLength(1);
      expect(await workOf(user)).toHaveLength(1);
    }
  });

  it('a flood of one member is answered twenty times a minute and costs nothing more', async () => {
    const [flooder, other] = [writer(), writer()];
    await bot.db`
      INSERT INTO rate_limits (bucket, window_start, hits)
      SELECT ${`bot:${flooder.id}`}, date_bin('1 minute', now(), 'epoch') + window_no * interval '1 minute', 19
      FROM generate_series(0, 1) window_no`;
    for (let times = 0; times < 5; times += 1) expect((await bot.write(flooder, '/start')).status).toBe(200);
    expect(bot.said(flooder).length).toBeGreaterThan(0);
    expect(bot.said(flooder).length).toBeLessThanOrEqual(2);
    await bot.write(other, '/help');
    expect(bot.said(other)).toHaveLength(1);
  });

  it('an update whose transaction failed comes again and is answered', async () => {
    const user = writer();
    const update = privateMessage(user, '/start');
    await bot.db`ALTER TABLE telegram_messages ADD CONSTRAINT broken CHECK (false) NOT VALID`;
    try {
      expect((await bot.post(update)).status).toBe(500);
      expect(await memberOf(user)).toBeUndefined();
    } finally {
      await bot.db`ALTER TABLE telegram_messages DROP CONSTRAINT broken`;
    }
    expect((await bot.post(update)).data).toEqual({ handled: true });
    expect(lastSaid(user)).toContain('Welcome!');
  });
});
