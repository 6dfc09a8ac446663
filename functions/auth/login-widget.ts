import { loginWidget } from '../../lib/auth/api.ts';
import { logIn } from '../../lib/auth/log-in.ts';
import { limit, networkOf } from '../../lib/auth/rate-limit.ts';
import { readSessionToken, SESSION_SECONDS, sessionCookie } from '../../lib/auth/session-cookie.ts';
import { showSession } from '../../lib/auth/show-session.ts';
import { verifyWidgetPayload } from '../../lib/auth/telegram-widget.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { openQueue, wakeWorker } from '../../lib/pds/wake-worker.ts';

const { settings, sql, ...api } = await openApi([
  'TELEGRAM_BOT_TOKEN',
  'PDS_PROVISIONING_ENABLED',
  'PROVISIONING_QUEUE_URL',
]);
const provisioningEnabled = settings.PDS_PROVISIONING_ENABLED;
const queue = openQueue(sql, settings.PROVISIONING_QUEUE_URL);
/** Ten a second from one network: a crowd behind one address gets in, a flood stays outside. */
const LIMIT = { max: 600, windowSeconds: 60 };

export const handler = route(
  loginWidget,
  api,
  async ({ body, address, userAgent, cookies, setCookie, log }) => {
    await limit(sql, 'login', networkOf(address), LIMIT);
    verifyWidgetPayload({ botToken: settings.TELEGRAM_BOT_TOKEN, now: new Date() }, body);
    const login = await logIn(
      { ...api.sessions, provisioningEnabled },
      {
        profile: body,
        signature: body.hash,
        loginMethod: 'widget',
        userAgent,
        replaces: readSessionToken(cookies),
      },
    );
    log.info('logged in', { pnptv_uuid: login.identity.pnptv_uuid });
    await wakeWorker({ ...queue, provisioningEnabled, log }, login.queued);
    setCookie(sessionCookie(login.token, SESSION_SECONDS));
    return showSession(login.member, login.expiresAt, login.identity);
  },
);
