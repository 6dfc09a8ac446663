import { loginWidget } from '../../lib/auth/api.ts';
import { answerLogin } from '../../lib/auth/login/answer-login.ts';
import { logIn } from '../../lib/auth/login/log-in.ts';
import { openDoor } from '../../lib/auth/login/open-door.ts';
import { verifyWidgetPayload } from '../../lib/auth/login/telegram-widget.ts';
import { readSessionToken } from '../../lib/auth/session/session-cookie.ts';
import { route } from '../../lib/http/route.ts';

const { settings, members, arrivals, ...api } = await openDoor(['TELEGRAM_BOT_TOKEN']);

export const handler = route(loginWidget, api, async (request) => {
  const { body, userAgent, cookies } = request;
  verifyWidgetPayload({ botToken: settings.TELEGRAM_BOT_TOKEN, now: new Date() }, body);
  const login = await logIn(members, {
    profile: body,
    signature: body.hash,
    loginMethod: 'widget',
    userAgent,
    replaces: readSessionToken(cookies),
  });
  return answerLogin(arrivals, request, login);
});
