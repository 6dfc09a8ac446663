import { totpCode } from '../../lib/auth/second-factor/totp.ts';
import { call } from './member-journey.ts';

/** Begins to set up a second factor for whoever has this session, and returns its secret. */
export async function enroll(app: { url: string }, cookie: string): Promise<string> {
  return (await call<{ secret: string }>(app, 'POST', '/api/auth/2fa/enroll', { cookie })).data.secret;
}

/** Sets one up and returns its secret and recovery codes. */
export async function setUpFactor(app: { url: string }, cookie: string) {
  const secret = await enroll(app, cookie);
  const body = { code: totpCode(secret, new Date()) };
  type Codes = { recovery_codes: [string, ...string[]] };
  const { data } = await call<Codes>(app, 'POST', '/api/auth/2fa/confirm', { cookie, body });
  return { secret, codes: data.recovery_codes };
}
