import * as z from 'zod/mini';
import { apiError } from '../../http/error-codes.ts';
import { readAtMost } from '../../pds/read-at-most.ts';

export type Network = {
  fetch: typeof globalThis.fetch;
  /** For one question, from connecting to the last byte. */
  timeoutMs: number;
};

const LONGEST_ANSWER = 64 * 1024;
/** RFC 6749, 5.2. */
const refusal = z.object({ error: z.string().check(z.regex(/^[a-z_]{1,60}$/)) });

/**
 * What an issuer answers to one question, in the form that it must have. Follows no redirect and reads at most 64 KiB.
 * Throws `LOGIN_REFUSED` (401) when it says that the code is no good, else `UNAVAILABLE` (503). The cause says what
 * was wrong and holds nothing of the answer but an error code.
 */
export async function askIssuer<Answer>(
  network: Network,
  url: string,
  answer: z.ZodMiniType<Answer>,
  question: Pick<RequestInit, 'method' | 'headers' | 'body'> = {},
): Promise<Answer> {
  const { ok, status, body } = await exchange(network, url, question);
  if (ok) {
    const parsed = answer.safeParse(body);
    if (parsed.success) return parsed.data;
  }
  const refused = refusal.safeParse(body);
  const said = refused.success ? refused.data.error : 'nothing that we understand';
  const cause = new Error(`${url} answered ${status} and ${said}`);
  throw apiError(said === 'invalid_grant' ? 'LOGIN_REFUSED' : 'UNAVAILABLE', { cause });
}

async function exchange({ fetch, timeoutMs }: Network, url: string, question: RequestInit) {
  try {
    const response = await fetch(url, {
      ...question,
      headers: { accept: 'application/json', ...question.headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await readAtMost(response, LONGEST_ANSWER);
    return { ok: response.ok, status: response.status, body: parseJson(text) };
  } catch (error) {
    throw apiError('UNAVAILABLE', { cause: new Error(`${url} does not answer`, { cause: error }) });
  }
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
