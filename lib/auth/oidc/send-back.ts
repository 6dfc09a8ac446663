import { documentedCode } from '../../http/answer.ts';
import type { HostSettings } from '../../http/host.ts';
import type { Redirect } from '../../http/request.ts';
import type { Log } from '../../observability/log.ts';
import { withLoginError } from './return-to.ts';

/**
 * Takes one step of a login that a person is looking at: when it fails, his browser goes back to where he began, with
 * the error's code. What is our own fault is thrown on.
 */
export async function orSendBack(
  { hosts, log }: { hosts: HostSettings; log: Log },
  returnTo: string,
  step: () => Promise<Redirect>,
): Promise<Redirect> {
  try {
    return await step();
  } catch (error) {
    const code = documentedCode(error);
    if (code === 'INTERNAL') throw error;
    if (code === 'UNAVAILABLE') log.error('login failed', { code, error });
    else log.info('login refused', { code, reason: reasonOf(error) });
    return { location: withLoginError(hosts, returnTo, code) };
  }
}

function reasonOf(error: unknown): string | undefined {
  return error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined;
}
