import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../lib/app-error.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform, type PlatformFile } from './platform-file.ts';
import { demoTelegramId, signWidgetPayload, type TelegramUser } from './telegram.ts';

/** The cookie jar that the README's curl lines read, in Netscape's format. */
const COOKIE_JAR = 'cookies.txt';

const USAGE = `Usage: npm run login -- NAME [--admin] [--data FOLDER]
  NAME           the demo member, always with the same Telegram id
  --admin        logs in the administrator instead: one Telegram id whatever NAME is, which is only what he is called
  --data FOLDER  the folder of the platform (.data)`;

const { admin, data, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, admin: { type: 'boolean', default: false } },
  operands: ['NAME'],
});
const [name = ''] = operands;
try {
  const platform = await findPlatform(path.resolve(data));
  // The member whom the specification's provisioning line names has to have logged in once.
  if (admin) await logIn(platform, { id: demoTelegramId('alice'), first_name: 'alice', username: 'alice' });
  const id = admin ? platform.adminTelegramId : demoTelegramId(name);
  const { cookie, expiresAt, role } = await logIn(platform, { id, first_name: name, username: name });
  writeFileSync(COOKIE_JAR, netscapeCookie(cookie, expiresAt), { mode: 0o600 });
  console.log(`Logged in ${name} (${role}, Telegram id ${id}); the session is in ${COOKIE_JAR}.`);
  console.log(`Try: curl -b ${COOKIE_JAR} ${platform.url}/api/pds/info`);
} catch (error) {
  fail(error);
}

async function logIn(
  { url, botToken }: Pick<PlatformFile, 'url' | 'botToken'>,
  user: TelegramUser,
): Promise<{ cookie: string; expiresAt: Date; role: string }> {
  const response = await fetch(`${url}/api/auth/telegram/widget`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(signWidgetPayload(botToken, user)),
  }).catch((cause) => {
    throw new AppError('NOT_RUNNING', `Nobody answers at ${url}. Start the platform with: npm start`, {
      cause,
    });
  });
  const answer = (await response.json()) as {
    data?: { expires_at: string; member: { role: string } };
    error?: { code: string; message: string };
  };
  const cookie = response.headers.getSetCookie()[0]?.split(';', 1)[0];
  if (answer.error?.code === 'LOGIN_REPLAYED') {
    // Telegram counts in seconds: two logins of one member within a second are one and the same.
    await sleep(1_000);
    return logIn({ url, botToken }, user);
  }
  if (!answer.data || !cookie) {
    throw new AppError('LOGIN_FAILED', `The login failed: ${answer.error?.message ?? response.status}`);
  }
  return { cookie, expiresAt: new Date(answer.data.expires_at), role: answer.data.member.role };
}

/** curl treats `localhost` as a secure context, so a Secure cookie is sent there over http too. */
function netscapeCookie(cookie: string, expiresAt: Date): string {
  const [name, value] = cookie.split('=');
  const fields = [
    '#HttpOnly_localhost',
    'FALSE',
    '/',
    'TRUE',
    Math.floor(expiresAt.getTime() / 1000),
    name,
    value,
  ];
  return `# Netscape HTTP Cookie File\n${fields.join('\t')}\n`;
}
