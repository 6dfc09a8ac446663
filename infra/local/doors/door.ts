import { AppError } from '../../../lib/app-error.ts';
import type { PlatformFile } from '../platform-file.ts';
import type { TelegramUser } from '../telegram.ts';

/** What a door needs to know about the platform. */
export type Place = Pick<PlatformFile, 'url' | 'botToken' | 'internalApiKey' | 'webhookSecret'>;

/** A member who is in: how he shows it, until when, and as what. */
export type Entered = {
  /** `name=value` of the session's cookie, or the token for `Authorization: Bearer`. */
  proof: { cookie: string } | { bearer: string };
  expiresAt: Date;
  role: string;
};
/** Logs this user in as a browser, an app or a backend would do it. Fails with NOT_RUNNING or LOGIN_FAILED. */
export type Door = (place: Place, user: TelegramUser) => Promise<Entered>;

type SessionInfo = { expires_at: string; member: { role: string } };

/** One request as a program makes it: no redirect is followed. */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(url, { redirect: 'manual', ...init }).catch((cause) => {
    const { origin } = new URL(url);
    throw new AppError('NOT_RUNNING', `Nobody answers at ${origin}. Start the platform with: npm start`, {
      cause,
    });
  });
}

export const postJson = (url: string, body: unknown) =>
  ask(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** The data of an answer of ours. */
export async function dataOf<Data>(response: Response): Promise<Data> {
  const answer = (await response.json()) as { data?: Data; error?: { code: string; message: string } };
  if (answer.data) return answer.data;
  const { code = 'LOGIN_FAILED', message = String(response.status) } = answer.error ?? {};
  throw new AppError(code, `The login failed: ${message}`);
}

/** The cookie of this name that an answer sets, as `name=value`. */
export function cookieOf(response: Response, name: string): string {
  const cookie = response.headers.getSetCookie().find((set) => set.startsWith(`${name}=`));
  if (cookie === undefined) throw new AppError('LOGIN_FAILED', `The login failed: it set no cookie ${name}.`);
  return cookie.split(';', 1)[0] ?? '';
}

/** Whoever a login has let in that answers with the session and sets its cookie. What it refuses fails by its own code. */
export async function enteredByCookie(response: Response): Promise<Entered> {
  const session = await dataOf<SessionInfo>(response);
  return entered({ cookie: cookieOf(response, '__Host-session') }, session);
}

/** Whoever has this session. */
export function entered(proof: Entered['proof'], { expires_at, member }: SessionInfo): Entered {
  return { proof, expiresAt: new Date(expires_at), role: member.role };
}
