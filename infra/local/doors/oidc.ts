import { AppError } from '../../../lib/app-error.ts';
import { ask, cookieOf, type Door, dataOf, entered } from './door.ts';

/** Goes the way of a browser: to the issuer, through its dialog, and back. */
export const oidc: Door = async ({ url }, { username = '', first_name = '' }) => {
  const begun = await ask(`${url}/api/auth/telegram/start`);
  const browser = cookieOf(begun, '__Host-login');
  const chosen = await ask(locationOf(begun), {
    method: 'POST',
    body: new URLSearchParams({ username, first_name }),
  });
  const done = await ask(locationOf(chosen), { headers: { cookie: browser } });
  const cookie = cookieOf(done, '__Host-session');
  return entered({ cookie }, await dataOf(await ask(`${url}/api/auth/session`, { headers: { cookie } })));
};

function locationOf(response: Response): string {
  const location = response.headers.get('location');
  if (!location) throw new AppError('LOGIN_FAILED', `The login failed: ${response.url} leads nowhere.`);
  return new URL(location, response.url).href;
}
