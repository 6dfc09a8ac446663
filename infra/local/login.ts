import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { DOORS } from './doors/index.ts';
import { findPlatform } from './platform-file.ts';
import { demoTelegramId } from './telegram.ts';

/** The cookie jar that the README's curl lines read, in Netscape's format. */
const COOKIE_JAR = 'cookies.txt';

const NAMES = Object.keys(DOORS).join(' | ');
const USAGE = `Usage: npm run login -- NAME [--admin] [--door DOOR] [--data FOLDER]
  NAME           the demo member, always with the same Telegram id
  --admin        logs in the administrator instead: one Telegram id whatever NAME is, which is only what he is called
  --door DOOR    the way in: ${NAMES} (widget)
  --data FOLDER  the folder of the platform (.data)`;

const { admin, door, data, operands } = readCommandLine(USAGE, {
  options: {
    ...COMMON_OPTIONS,
    admin: { type: 'boolean', default: false },
    door: { type: 'string', default: 'widget' },
  },
  operands: ['NAME'],
});
const [name = ''] = operands;
const enter = Object.hasOwn(DOORS, door) ? DOORS[door as keyof typeof DOORS] : undefined;
if (!enter) refuse(USAGE, `--door takes one of ${NAMES}.`);
if (admin && door === 'oidc')
  refuse(USAGE, '--admin goes through another door: one chooses a name at that one.');
try {
  const platform = await findPlatform(path.resolve(data));
  // The member whom the specification's provisioning line names has to have logged in once.
  if (admin) {
    await DOORS.widget(platform, { id: demoTelegramId('alice'), first_name: 'alice', username: 'alice' });
  }
  const id = admin ? platform.adminTelegramId : demoTelegramId(name);
  const { proof, expiresAt, role } = await enter(platform, { id, first_name: name, username: name });
  const who = `Logged in ${name} (${role}, Telegram id ${id})`;
  if ('cookie' in proof) {
    writeFileSync(COOKIE_JAR, netscapeCookie(proof.cookie, expiresAt), { mode: 0o600 });
    console.log(`${who}; the session is in ${COOKIE_JAR}.`);
    console.log(`Try: curl -b ${COOKIE_JAR} ${platform.url}/api/pds/info`);
  } else {
    console.log(`${who} until ${expiresAt.toISOString()}.`);
    console.log(`Try: curl -H 'Authorization: Bearer ${proof.bearer}' ${platform.url}/api/pds/info`);
  }
} catch (error) {
  fail(error);
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
