import { execFile } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BOT_API_PATH } from '../../infra/local/bot-api.ts';
import { DOORS } from '../../infra/local/doors/index.ts';
import { demoTelegramId } from '../../infra/local/telegram.ts';
import { ask } from './ask.ts';
import { openPlatform, type RunningPlatform, untilActive } from './running-platform.ts';

let running: RunningPlatform;
beforeAll(async () => {
  running = await openPlatform();
}, 300_000);
afterAll(() => running?.close());

/** Runs an npm script's program as a person would. */
function run(script: string, args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: number; output: string }>((resolve) => {
    const program = path.resolve(import.meta.dirname, '../../infra/local', script);
    execFile(
      process.execPath,
      [program, ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
}
const write = (text: string, ...more: string[]) =>
  run('bot.ts', ['bea', text, '--data', running.dataDir, ...more]);

it('somebody who writes /start to the bot owns an identity, and his link logs him in once', async () => {
  const started = await write('/start');
  expect(started).toMatchObject({ code: 0, output: expect.stringContaining('Welcome!') });
  const [, link = ''] = /\[Log in\] (\S+)/.exec(started.output) ?? [];
  await untilActive(running, { timeoutMs: 150_000, members: [String(demoTelegramId('bea'))] });
  const identity = await write('/identity', '--language', 'es');
  expect(identity.output).toMatch(/Nombre: @bea\.pnptv\.test\nDID: did:web:bea-\w{6}\.pnptv\.test/);

  const { pathname } = new URL(link);
  const page = await ask(running.platform, 'GET', pathname);
  expect([page.status, page.text.includes('<b>@bea</b>')]).toEqual([200, true]);
  const used = await ask(running.platform, 'POST', pathname);
  expect([used.status, used.headers.location]).toEqual([303, '/']);
  const cookie = used.headers['set-cookie']?.[0]?.split(';', 1)[0];
  const { json } = await ask(running.platform, 'GET', '/api/auth/session', { cookie });
  expect(json.data).toMatchObject({ member: { username: 'bea' }, pds: { status: 'active' } });
  expect((await ask(running.platform, 'POST', pathname)).headers.location).toBe(pathname);
}, 300_000);

it('what Telegram did not take is sent by the schedule', async () => {
  const { botApi } = running.platform;
  botApi.goWrong(() => ({ status: 500, body: { ok: false, error_code: 500, description: 'Oops' } }));
  await write('/help');
  botApi.goWrong(() => undefined);
  await running.sql`UPDATE telegram_messages SET next_attempt_at = now() WHERE sent_at IS NULL`;
  const before = botApi.calls.length;
  const schedule = running.platform.schedules().find(({ id }) => /deliver-messages-every-minute/.test(id));
  await running.platform.fire(schedule?.id ?? '');
  expect(botApi.calls.slice(before)).toMatchObject([{ method: 'sendMessage' }]);
});

it.each(Object.keys(DOORS))('npm run login goes through the door %s', async (door) => {
  const args = ['charles', '--door', door, '--data', running.dataDir];
  const { code, output } = await run('login.ts', args);
  expect([code, output]).toEqual([0, expect.stringContaining('Logged in charles (member')]);
  const methods = await running.sql`
    SELECT DISTINCT login_method FROM sessions WHERE user_id = ${String(demoTelegramId('charles'))}`;
  expect(methods.map(({ login_method: method }) => method)).toContain(door);
});

it('an operator registers webhook and menu by one command', async () => {
  const { url, botToken, botApi } = running.platform;
  const env = {
    PDS_APP_ORIGIN: 'https://app.example.org',
    TELEGRAM_API_ROOT: `${url}${BOT_API_PATH}`,
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_WEBHOOK_SECRET: 'x'.repeat(48),
  };
  const before = botApi.calls.length;
  expect(await run('bot-register.ts', [], env)).toMatchObject({ code: 0 });
  expect(botApi.calls.slice(before)).toMatchObject([
    {
      method: 'setWebhook',
      payload: {
        url: 'https://app.example.org/telegram/webhook',
        secret_token: 'x'.repeat(48),
        allowed_updates: ['message'],
      },
    },
    {
      method: 'setMyCommands',
      payload: { commands: expect.arrayContaining([expect.objectContaining({ command: 'start' })]) },
    },
    { method: 'setMyCommands', payload: { language_code: 'es' } },
  ]);
  const refused = await run('bot-register.ts', [], { ...env, TELEGRAM_BOT_TOKEN: `1:${'a'.repeat(30)}` });
  expect(refused).toMatchObject({ code: 1, output: expect.stringContaining('401: Unauthorized') });
  expect(refused.output).not.toContain('a'.repeat(30));
});
