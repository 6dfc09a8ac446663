import * as z from 'zod/mini';
import { apiError } from '../../http/error-codes.ts';
import { askIssuer, type Network } from './ask-issuer.ts';
import { challengeOf, type LoginState } from './login-state.ts';

/** An issuer of OpenID Connect, and who we are to it. */
export type Issuer = Network & {
  issuer: string;
  clientId: string;
  /** The issuer sends browsers there; it knows this address. */
  redirectUri: string;
  now: () => Date;
  /** What it says about itself. Throws `UNAVAILABLE` (503) while it does not, or says what cannot be. */
  about(): Promise<About>;
};
export type About = z.output<typeof about>;

/** How long what an issuer says about itself is believed. */
const REMEMBER_MS = 60 * 60_000;

/** OpenID Connect Discovery 1.0, 3. */
const about = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  jwks_uri: z.url(),
});

/** Keeps what the issuer says about itself in memory. */
export function openIssuer(client: Omit<Issuer, 'about'>): Issuer {
  let known: { about: Promise<About>; since: number } | undefined;
  return {
    ...client,
    about() {
      const now = client.now().getTime();
      if (known && now - known.since < REMEMBER_MS) return known.about;
      const asked = discover(client);
      known = { about: asked, since: now };
      asked.catch(() => {
        if (known?.about === asked) known = undefined;
      });
      return asked;
    },
  };
}

async function discover(client: Omit<Issuer, 'about'>): Promise<About> {
  const base = client.issuer.replace(/\/$/, '');
  const said = await askIssuer(client, `${base}/.well-known/openid-configuration`, about);
  const scheme = client.issuer.startsWith('https:') ? /^https:/ : /^https?:/;
  const urls = [said.authorization_endpoint, said.token_endpoint, said.jwks_uri];
  if (said.issuer === client.issuer && urls.every((url) => scheme.test(url))) return said;
  throw apiError('UNAVAILABLE', { cause: new Error(`${client.issuer} is not what it says it is`) });
}

/** Where a browser begins this login. */
export async function authorizationUrl(issuer: Issuer, login: LoginState): Promise<string> {
  const url = new URL((await issuer.about()).authorization_endpoint);
  const parameters = {
    response_type: 'code',
    client_id: issuer.clientId,
    redirect_uri: issuer.redirectUri,
    scope: 'openid profile',
    state: login.state,
    nonce: login.nonce,
    code_challenge: challengeOf(login),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}
