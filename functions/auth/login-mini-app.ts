import { loginMiniApp } from '../../lib/auth/api.ts';
import { noteWritable } from '../../lib/auth/bot/tell-member.ts';
import { answerWithBearer } from '../../lib/auth/login/answer-login.ts';
import { logIn } from '../../lib/auth/login/log-in.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { verifyInitData } from '../../lib/auth/login/telegram-mini-app.ts';
import { BEARER_SECONDS } from '../../lib/auth/session/session-cookie.ts';
import { route } from '../../lib/http/route.ts';

const { settings, members, arrivals, ...api } = await openDoor([
  'TELEGRAM_BOT_TOKEN',
  'TELEGRAM_WEBAPP_PUBLIC_KEY',
]);
const { TELEGRAM_BOT_TOKEN: botToken, TELEGRAM_WEBAPP_PUBLIC_KEY: publicKey } = settings;

export const handler = route(loginMiniApp, api, async ({ body, userAgent, log }) => {
  const { profile, botLanguage } = verifyInitData({ botToken, publicKey, now: new Date() }, body.init_data);
  const login = await logIn(members, {
    profile,
    // Telegram leaves it out for some apps: that says nothing about the picture.
    unsaid: ['photo_url'],
    loginMethod: 'miniapp',
    userAgent,
    lifetime: BEARER_SECONDS,
  });
  if (botLanguage) await noteWritable(api.sql, { userId: login.member.id, language: botLanguage });
  return answerWithBearer(arrivals, log, login);
});
