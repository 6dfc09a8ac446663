import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../lib/app-error.ts';
import { signWidgetPayload } from '../telegram.ts';
import { cookieOf, type Door, dataOf, entered, postJson } from './door.ts';

export const widget: Door = async (place, user) => {
  const { url, botToken } = place;
  const response = await postJson(`${url}/api/auth/telegram/widget`, signWidgetPayload(botToken, user));
  try {
    return entered({ cookie: cookieOf(response, '__Host-session') }, await dataOf(response));
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'LOGIN_REPLAYED') throw error;
    // Telegram counts in seconds: two logins of one member within a second are one and the same.
    await sleep(1_000);
    return widget(place, user);
  }
};
