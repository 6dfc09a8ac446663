import { SQSClient } from '@aws-sdk/client-sqs';
import { loginWidget } from '../../lib/auth/api.ts';
import { logIn } from '../../lib/auth/log-in.ts';
import { limit, networkOf } from '../../lib/auth/rate-limit.ts';
import { SESSION_SECONDS, sessionCookie } from '../../lib/auth/session-cookie.ts';
import { showSession } from '../../lib/auth/show-session.ts';
import { verifyWidgetPayload } from '../../lib/auth/telegram-widget.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { sendQueued } from '../../lib/provisioning/queue.ts';

const { settings, sql, ...api } = await openApi([
  'TELEGRAM_BOT_TOKEN',
  'ADMIN_TELEGRAM_IDS',
  'PDS_PROVISIONING_ENABLED',
  'PROVISIONING_QUEUE_URL',
]);
const sqs = new SQSClient({ maxAttempts: 1 });
const accounts = {
  sql,
  sessionSecret: settings.SESSION_SECRET,
  adminIds: settings.ADMIN_TELEGRAM_IDS ?? [],
  provisioningEnabled: settings.PDS_PROVISIONING_ENABLED,
};
/** Ten a second from one network: a crowd behind one address gets in, a flood does not reach the database's limits. */
const LIMIT = { max: 600, windowSeconds: 60 };

export const handler = route(loginWidget, api, async ({ body, address, userAgent, setCookie, log }) => {
  await limit(sql, 'login', networkOf(address), LIMIT);
  verifyWidgetPayload({ botToken: settings.TELEGRAM_BOT_TOKEN, now: new Date() }, body);
  const login = await logIn(accounts, { profile: body, signature: body.hash, userAgent });
  if (login.queued !== undefined && settings.PDS_PROVISIONING_ENABLED) {
    const sent = await sendQueued({ sql, sqs, queueUrl: settings.PROVISIONING_QUEUE_URL }, login.queued);
    if (!sent) log.warn('the queue does not answer: the relay will send it', { queue_id: login.queued });
  }
  setCookie(sessionCookie(login.token, SESSION_SECONDS));
  return showSession(login.member, login.expiresAt, login.identity);
});
