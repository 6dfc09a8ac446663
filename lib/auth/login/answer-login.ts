import type { Log } from '../../observability/log.ts';
import { wakeWorker } from '../../pds/wake-worker.ts';
import type { SendDeps } from '../../provisioning/queue/queue.ts';
import { SESSION_SECONDS, sessionCookie } from '../session/session-cookie.ts';
import { type SessionInfo, showSession } from '../session/show-session.ts';
import type { Arrival, Login } from './log-in.ts';

type ArrivalDeps = SendDeps & { provisioningEnabled: boolean };

/** Tells the worker what a member's coming set in motion. Never throws: the relay makes up for it. */
export async function followArrival(
  deps: ArrivalDeps,
  log: Log,
  { identity, queued }: Arrival,
): Promise<void> {
  log.info('logged in', { pnptv_uuid: identity.pnptv_uuid });
  await wakeWorker({ ...deps, log }, queued);
}

/** What every door answers to a browser: the session in a cookie, and who is in with his identity. */
export async function answerLogin(
  deps: ArrivalDeps,
  { log, setCookie }: { log: Log; setCookie(cookie: string): void },
  login: Login,
): Promise<SessionInfo> {
  await followArrival(deps, log, login);
  setCookie(sessionCookie(login.token, SESSION_SECONDS));
  return showSession(login.member, login.expiresAt, login.identity);
}

/**
 * What the door of a Mini App answers: the session in the answer itself, since a page framed by another site is sent no
 * SameSite cookie. Its page holds it in memory.
 */
export async function answerWithBearer(
  deps: ArrivalDeps,
  log: Log,
  login: Login,
): Promise<SessionInfo & { token: string }> {
  await followArrival(deps, log, login);
  return { ...showSession(login.member, login.expiresAt, login.identity), token: login.token };
}
