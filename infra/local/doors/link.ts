import { AppError } from '../../../lib/app-error.ts';
import { getSession } from '../../../lib/auth/api.ts';
import { writeToBot } from '../write-to-bot.ts';
import { ask, cookieOf, type Door, dataOf, entered } from './door.ts';

/** Asks the bot for a link and presses the button behind it. */
export const link: Door = async (place, user) => {
  const [message] = await writeToBot(place, user, '/login');
  const url = message?.reply_markup?.inline_keyboard[0]?.[0]?.url;
  if (url === undefined) throw new AppError('LOGIN_FAILED', 'The login failed: the bot has sent no link.');
  const cookie = cookieOf(await ask(url, { method: 'POST' }), '__Host-session');
  const session = await ask(`${place.url}${getSession.path}`, { headers: { cookie } });
  return entered({ cookie }, await dataOf(session));
};
