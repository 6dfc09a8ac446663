import postgres from 'postgres';
import { expect, vi } from 'vitest';
import { demoTelegramId } from '../../../infra/local/telegram.ts';
import { finishOidcLogin, startOidcLogin } from '../../../lib/auth/api.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase } from '../../setup/database.ts';
import { type Answer, call, setEnvironment } from '../http/app.ts';
import { CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, startTestIssuer } from './test-issuer.ts';

/** The origin beside our own where a login may end. */
export const GUEST = 'https://www.example.org';

export const locationOf = ({ headers }: Answer) => String(headers.location);
export const cookieOf = ({ cookies }: Answer, name = '__Host-session') =>
  cookies.find((cookie) => cookie.startsWith(`${name}=`))?.split(';', 1)[0];

/** Where nobody got in: the browser is back at this place, with the reason. */
export function expectRefused(answer: Answer, location: string) {
  expect([answer.status, locationOf(answer), answer.cookies]).toEqual([302, location, []]);
}

let visitors = 0;
/** Somebody who was never here before, as he fills in the issuer's dialog. */
export const visitor = () => {
  visitors += 1;
  return { username: `visitor_${visitors}`, first_name: 'Vera' };
};

/** What a person does at the issuer; returns with what his browser is sent back. */
export async function choose(
  authorize: string,
  form: Record<string, string>,
): Promise<Record<string, string>> {
  const answer = await fetch(authorize, {
    ...{ method: 'POST', redirect: 'manual' },
    body: new URLSearchParams(form),
  });
  const back = new URL(answer.headers.get('location') ?? '');
  expect(back.origin + back.pathname).toBe(REDIRECT_URI);
  return Object.fromEntries(back.searchParams);
}

/** The two routes of a login with OpenID Connect, an issuer on a port of its own, and a browser between them. */
export async function openOidc() {
  const database = await freshDatabase();
  const db = postgres(database.superuserUrl, { max: 2 });
  const issuer = await startTestIssuer();
  let routes: Record<'start' | 'finish', ApiHandler>;

  /** The routes as Lambdas that have just started, with these settings. */
  async function openRoutes(more: Record<string, string> = {}): Promise<void> {
    vi.resetModules();
    setEnvironment(database, {
      PDS_ALLOWED_ORIGINS: GUEST,
      TELEGRAM_OIDC_ISSUER: issuer.url,
      TELEGRAM_OIDC_CLIENT_ID: CLIENT_ID,
      TELEGRAM_OIDC_CLIENT_SECRET: CLIENT_SECRET,
      ...more,
    });
    const { handler: start } = await import('../../../functions/auth/start-oidc-login.ts');
    const { handler: finish } = await import('../../../functions/auth/finish-oidc-login.ts');
    routes = { start, finish };
  }
  await openRoutes();

  const start = (query: Record<string, string> = {}, cookie = '') =>
    call(routes.start, startOidcLogin, { query, cookie });
  const comeBack = (query: Record<string, string>, cookie = '') =>
    call(routes.finish, finishOidcLogin, { query, cookie });
  async function begin(query: Record<string, string> = {}, cookie?: string) {
    const answer = await start(query, cookie);
    expect(answer.status).toBe(302);
    return { authorize: locationOf(answer), browser: cookieOf(answer, '__Host-login') ?? '' };
  }

  return {
    ...{ database, db, issuer, openRoutes, start, begin, comeBack },
    /** The whole way of one login. */
    async logInThere(returnTo = '/', user = visitor()) {
      const { authorize, browser } = await begin({ return_to: returnTo });
      return comeBack(await choose(authorize, user), browser);
    },
    async memberOf({ username }: { username: string }) {
      return (await db`SELECT * FROM users WHERE id = ${String(demoTelegramId(username))}`)[0];
    },
    async close() {
      await issuer.stop();
      await db.end();
      await database.drop();
    },
  };
}
