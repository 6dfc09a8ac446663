import { createHmac } from 'node:crypto';
import { signBackendRequest } from '../../infra/local/backend.ts';
import { signInitData } from '../../infra/local/telegram.ts';
import { writeToBot } from '../../infra/local/write-to-bot.ts';
import { challengeOf } from '../../lib/auth/oidc/login-state.ts';
import { type AskOptions, ask } from './ask.ts';
import { deployedSecret, newcomer, type RunningPlatform } from './running-platform.ts';

/** `tell` keeps the answer as something that must be silent. */
type Ears = {
  keep(name: string, value: string): void;
  tell(method: string, route: string, options?: AskOptions): Promise<{ status: number }>;
};

const secretOf = (cookie: string | undefined) => cookie?.split(';', 1)[0]?.split('=')[1] ?? '';

/**
 * Comes in by every door but the widget, and fails to. These doors hand secrets out, by answers, redirects and messages;
 * each is kept, so that it is found wherever else it is.
 */
export async function passThroughDoors(running: RunningPlatform, ears: Ears): Promise<void> {
  await openMiniApp(running, ears);
  for (const change of ['', 'x']) await goToIssuer(running, ears, change);
  await writeToTheBot(running, ears);
  await comeFromBackend(running, ears);
}

async function openMiniApp({ platform }: RunningPlatform, { keep }: Ears): Promise<void> {
  const initData = signInitData(platform, newcomer('silent_mini_app'));
  keep('hash of init data', new URLSearchParams(initData).get('hash') ?? '');
  const { json } = await ask(platform, 'POST', '/api/auth/telegram/miniapp', {
    body: { init_data: initData },
  });
  keep('bearer', json.data.token);
}

async function goToIssuer({ platform, dataDir }: RunningPlatform, { keep }: Ears, change: string) {
  keep('client secret', deployedSecret(dataDir, /OIDC/));
  const { headers } = await ask(platform, 'GET', '/api/auth/telegram/start');
  const [browser = ''] = headers['set-cookie'] ?? [];
  const authorize = new URL(String(headers.location));
  const form = new URLSearchParams({ first_name: 'Silent', username: 'silent_oidc' });
  const chosen = await fetch(authorize, { method: 'POST', redirect: 'manual', body: form });
  const back = new URL(chosen.headers.get('location') ?? '');
  const of = (name: string) => authorize.searchParams.get(name) ?? '';
  for (const name of ['state', 'nonce']) keep(name, of(name));
  keep('authorization code', back.searchParams.get('code') ?? '');
  keep('browser of a login', secretOf(browser));
  const verifier = createHmac('sha256', secretOf(browser))
    .update(`pkce:${of('state')}`)
    .digest('base64url');
  if (challengeOf({ verifier }) !== of('code_challenge')) throw new Error('the verifier is made otherwise');
  keep('verifier', verifier);
  back.searchParams.set('code', `${back.searchParams.get('code')}${change}`);
  const cookie = browser.split(';', 1)[0];
  const done = await ask(platform, 'GET', back.pathname + back.search, { cookie });
  const session = done.headers['set-cookie']?.[0];
  if ((session === undefined) !== (change !== '')) throw new Error('a login did not go as it should');
  if (session) keep('session by OpenID Connect', secretOf(session));
}

async function writeToTheBot({ platform }: RunningPlatform, { keep, tell }: Ears): Promise<void> {
  keep('webhook secret', platform.webhookSecret);
  const [message] = await writeToBot(platform, newcomer('silent_bot'), '/start');
  const { pathname } = new URL(message?.reply_markup?.inline_keyboard[0]?.[0]?.url ?? '');
  keep('login link', pathname.split('/').at(-1) ?? '');
  await tell('GET', pathname);
  const { headers } = await ask(platform, 'POST', pathname);
  keep('session by link', secretOf(headers['set-cookie']?.[0]));
  // The second time it leads the browser back to the address that it came from.
  await ask(platform, 'POST', pathname);
  await tell('GET', pathname);
  await tell('POST', '/telegram/webhook', {
    body: { update_id: 1 },
    headers: { 'x-telegram-bot-api-secret-token': `${platform.webhookSecret}x` },
  });
}

async function comeFromBackend({ platform }: RunningPlatform, { keep, tell }: Ears): Promise<void> {
  keep('key of a backend', platform.internalApiKey);
  const request = { method: 'POST', path: '/api/internal/logins' };
  const rawBody = JSON.stringify({ telegramId: newcomer().id, username: 'silent_backend' });
  const headers = signBackendRequest(platform.internalApiKey, { ...request, body: rawBody });
  keep('signature of a backend', headers['x-pds-signature'] ?? '');
  const { json } = await ask(platform, request.method, request.path, { rawBody, headers });
  const { code } = json.data;
  keep('exchange code', code);
  const exchanged = await ask(platform, 'POST', '/api/auth/exchange', { body: { code } });
  keep('session by code', secretOf(exchanged.headers['set-cookie']?.[0]));
  await tell('POST', '/api/auth/exchange', { body: { code } });
  await tell(request.method, request.path, { rawBody, headers });
}
