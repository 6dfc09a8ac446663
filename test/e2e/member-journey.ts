import { signWidgetPayload, type TelegramUser } from '../../infra/local/telegram.ts';
import { expectDocumented } from './documented.ts';

/** What the demo, the benchmarks and the tests know about a running platform. */
export type AppEndpoint = { url: string; botToken: string };
/** The steps of provisioning, in order. */
export const STEPS: readonly string[] = [
  'requested',
  'reserved',
  'account_created',
  'identity_published',
  'activated',
  'secured',
];
export type ObservedStep = { name: string; ms: number };
export type IdentityInfo = {
  pnptv_uuid: string;
  pds_handle: string | null;
  pds_did: string | null;
  pds_endpoint: string | null;
  status: 'pending' | 'active' | 'error' | 'revoked' | 'disabled';
  verification_status: string;
  provisioning_step: string;
  error: { code: string; message: string } | null;
};

type Envelope<T> =
  | { success: true; data: T }
  | { success: false; error?: { code: string; message: string; request_id: string } };

/**
 * Calls the API as a browser of this member would; throws with the error's code and request id, and for an answer that
 * /api/openapi.json does not know.
 */
export async function call<T>(
  { url }: { url: string },
  method: string,
  path: string,
  options: { cookie?: string; body?: unknown } = {},
): Promise<{ data: T; cookie: string | undefined }> {
  const response = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(options.cookie ? { cookie: options.cookie } : {}),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
  });
  const text = await response.text();
  const contentType = response.headers.get('content-type');
  expectDocumented(method, path, { status: response.status, contentType, text });
  const answer = JSON.parse(text) as Envelope<T>;
  if (!answer.success) {
    const { code = 'NO_ENVELOPE', message = '', request_id: requestId } = answer.error ?? {};
    throw new Error(
      `${method} ${path} answered ${response.status} ${code}: ${message} (request ${requestId})`,
    );
  }
  const cookie = response.headers.getSetCookie()[0]?.split(';', 1)[0];
  return { data: answer.data, cookie };
}

/** Logs a member in with a signed widget payload and returns his session cookie and first state. */
export async function logIn(
  app: AppEndpoint,
  user: TelegramUser,
): Promise<{ cookie: string; pds: IdentityInfo }> {
  const { data, cookie } = await call<{ pds: IdentityInfo }>(app, 'POST', '/api/auth/telegram/widget', {
    body: signWidgetPayload(app.botToken, user),
  });
  if (!cookie) throw new Error('the login set no session cookie');
  return { cookie, pds: data.pds };
}

/**
 * Polls the member's info until it is `active`, and says when each step was first seen done (milliseconds since
 * `started`, a `performance.now()`). Throws when the identity fails or `timeoutMs` is over.
 */
export async function watchUntilActive(
  app: AppEndpoint,
  cookie: string,
  { pollMs, timeoutMs, started }: { pollMs: number; timeoutMs: number; started: number },
): Promise<{ info: IdentityInfo; steps: ObservedStep[] }> {
  const seen: ObservedStep[] = [];
  for (;;) {
    const { data: info } = await call<IdentityInfo>(app, 'GET', '/api/pds/info', { cookie });
    const elapsed = performance.now() - started;
    for (const name of STEPS.slice(seen.length, STEPS.indexOf(info.provisioning_step) + 1)) {
      seen.push({ name, ms: Math.round(elapsed) });
    }
    if (info.status === 'active') return { info, steps: seen };
    if (info.status !== 'pending') throw new Error(`the identity is ${info.status}: ${info.error?.message}`);
    if (elapsed > timeoutMs)
      throw new Error(`still pending at ${info.provisioning_step} after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
