import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type PlatformFile, readPlatformFile } from './platform-file.ts';
import { demoTelegramId, signWidgetPayload, type TelegramUser } from './telegram.ts';

/** The cookie jar that the README's curl lines read, in Netscape's format. */
const COOKIE_JAR = 'cookies.txt';

const USAGE = 'Usage: npm run login -- NAME [--admin] [--data FOLDER]';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { admin: { type: 'boolean', default: false }, data: { type: 'string', default: '.data' } },
});
const [name] = positionals;
if (!name || positionals.length > 1) fail(USAGE);

const platform = readPlatformFile(path.resolve(values.data));
if (!platform) fail(`No platform runs on ${values.data}. Start it with: npm start`);

if (values.admin) {
  // The member whom the specification's provisioning line names has to have logged in once.
  await logIn(platform, { id: demoTelegramId('alice'), first_name: 'alice', username: 'alice' });
}
const id = values.admin ? platform.adminTelegramId : demoTelegramId(name);
const { cookie, expiresAt, role } = await logIn(platform, { id, first_name: name, username: name });
writeFileSync(COOKIE_JAR, netscapeCookie(cookie, expiresAt), { mode: 0o600 });
console.log(`Logged in ${name} (${role}, Telegram id ${id}); the session is in ${COOKIE_JAR}.`);
console.log(`Try: curl -b ${COOKIE_JAR} ${platform.url}/api/pds/info`);

async function logIn(
  { url, botToken }: Pick<PlatformFile, 'url' | 'botToken'>,
  user: TelegramUser,
): Promise<{ cookie: string; expiresAt: Date; role: string }> {
  const response = await fetch(`${url}/api/auth/telegram/widget`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(signWidgetPayload(botToken, user)),
  }).catch(() => fail(`Nobody answers at ${url}. Start the platform with: npm start`));
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
  if (!answer.data || !cookie) return fail(`The login failed: ${answer.error?.message ?? response.status}`);
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

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
