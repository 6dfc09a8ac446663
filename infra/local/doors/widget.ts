import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../lib/app-error.ts';
import { signWidgetPayload } from '../telegram.ts';
import { type Door, enteredByCookie, postJson } from './door.ts';

export const widget: Door = async (place, user) => {
  const { url, botToken } = place;
  const response = await postJson(`${url}/api/auth/telegram/widget`, signWidgetPayload(botToken, user));
  try {
    return await enteredByCookie(response);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'LOGIN_REPLAYED') throw error;
    // Telegram counts in seconds: two logins of one member within a second are one and the same.
    await sleep(1_000);
    return widget(place, user);
  }
};
