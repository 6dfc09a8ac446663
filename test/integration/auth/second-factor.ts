import * as auth from '../../../lib/auth/api.ts';
import { totpCode } from '../../../lib/auth/second-factor/totp.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { type Answer, type Call, call, logIn, newcomer } from '../http/app.ts';

const ROUTES = {
  getSecondFactor: [auth.getSecondFactor, () => import('../../../functions/auth/get-second-factor.ts')],
  enrollTotp: [auth.enrollTotp, () => import('../../../functions/auth/enroll-totp.ts')],
  confirmTotp: [auth.confirmTotp, () => import('../../../functions/auth/confirm-totp.ts')],
  stepUp: [auth.stepUp, () => import('../../../functions/auth/step-up.ts')],
  renewRecoveryCodes: [
    auth.renewRecoveryCodes,
    () => import('../../../functions/auth/renew-recovery-codes.ts'),
  ],
  disableTotp: [auth.disableTotp, () => import('../../../functions/auth/disable-totp.ts')],
  getSession: [auth.getSession, () => import('../../../functions/auth/get-session.ts')],
  loginWidget: [auth.loginWidget, () => import('../../../functions/auth/login-widget.ts')],
} as const satisfies Record<string, readonly [Contract, () => Promise<{ handler: ApiHandler }>]>;
export type Operation = keyof typeof ROUTES;

/** Calls a route of the second factor as it runs; the environment has to be set before (app.ts). */
export async function ask(operation: Operation, options: Call): Promise<Answer> {
  const [contract, load] = ROUTES[operation];
  const { handler } = await load();
  return call(handler, contract, options);
}

/** Status, and the code of a refusal. */
export const verdict = async (answer: Answer | Promise<Answer>) => {
  const { status, error } = await answer;
  return error ? [status, error.code] : [status];
};

/** The code that the app shows now, or so many steps from now. */
export const codeOf = (secret: string, steps = 0) => totpCode(secret, new Date(Date.now() + steps * 30_000));

/** A member with a second factor. His app has `shown` its first code just now: the next that is good is `codeOf(secret, 1)`. */
export async function memberWithFactor(user = newcomer()) {
  const cookie = await logIn(user);
  const { secret } = (await ask('enrollTotp', { cookie })).data;
  const shown = codeOf(secret);
  const { data } = await ask('confirmTotp', { cookie, body: { code: shown } });
  const codes: [string, string, string] = data.recovery_codes;
  return { id: String(user.id), cookie, secret: String(secret), shown, codes };
}

/** Steps up and returns the cookie of the session as it is then. */
export async function stepUp(
  cookie: string,
  body: { operation: string; target?: string | object | null; code: string },
): Promise<string> {
  const { cookies, error } = await ask('stepUp', { cookie, body });
  if (error) throw new Error(`no step-up: ${error.code}`);
  return cookies[0]?.split(';', 1)[0] ?? '';
}
