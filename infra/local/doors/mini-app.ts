import { signInitData } from '../telegram.ts';
import { type Door, dataOf, entered, postJson } from './door.ts';

type Answer = Parameters<typeof entered>[1] & { token: string };

export const miniApp: Door = async ({ url, botToken }, user) => {
  const body = { init_data: signInitData({ botToken }, user) };
  const { token, ...session } = await dataOf<Answer>(
    await postJson(`${url}/api/auth/telegram/miniapp`, body),
  );
  return entered({ bearer: token }, session);
};
