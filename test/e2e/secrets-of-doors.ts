import { signInitData } from '../../infra/local/telegram.ts';
import { ask } from './ask.ts';
import { deployedSecret, newcomer, type RunningPlatform } from './running-platform.ts';

const secretOf = (cookie: string | undefined) => cookie?.split(';', 1)[0]?.split('=')[1] ?? '';

/**
 * Comes in by the Mini App and by OpenID Connect, and once fails to. These doors hand secrets out, by answers and
 * redirects; each is kept, so that it is found wherever else it is.
 */
export async function passThroughDoors(
  { platform, dataDir }: RunningPlatform,
  keep: (name: string, value: string) => void,
): Promise<void> {
  keep('client secret', deployedSecret(dataDir, /OIDC/));
  const initData = signInitData(platform, newcomer('silent_mini_app'));
  keep('hash of init data', new URLSearchParams(initData).get('hash') ?? '');
  const { json } = await ask(platform, 'POST', '/api/auth/telegram/miniapp', {
    body: { init_data: initData },
  });
  keep('bearer', json.data.token);

  for (const change of ['', 'x']) {
    const { headers } = await ask(platform, 'GET', '/api/auth/telegram/start');
    const [browser = ''] = headers['set-cookie'] ?? [];
    const authorize = new URL(String(headers.location));
    const form = new URLSearchParams({ first_name: 'Silent', username: 'silent_oidc' });
    const chosen = await fetch(authorize, { method: 'POST', redirect: 'manual', body: form });
    const back = new URL(chosen.headers.get('location') ?? '');
    for (const name of ['state', 'nonce']) keep(name, authorize.searchParams.get(name) ?? '');
    keep('authorization code', back.searchParams.get('code') ?? '');
    keep('browser of a login', secretOf(browser));
    back.searchParams.set('code', `${back.searchParams.get('code')}${change}`);
    const cookie = browser.split(';', 1)[0];
    const done = await ask(platform, 'GET', back.pathname + back.search, { cookie });
    const session = done.headers['set-cookie']?.[0];
    if ((session === undefined) !== (change !== '')) throw new Error('a login did not go as it should');
    if (session) keep('session by OpenID Connect', secretOf(session));
  }
}
