import { readHealth } from '../../pds/client/server.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { type Move, turnTo } from './stations.ts';

/**
 * What a transfer may take of a run, in ms: all that is left of it, but for the time that an answer may take after it.
 * Throws Parked when that is less than half a run: a fresh one has more.
 */
export function timeLeft({ now, startedAt, times }: Run): number {
  const left = startedAt.getTime() + (times.change - times.http) * 1000 - now().getTime();
  if (left < times.change * 500) throw new Parked('out_of_time', now());
  return left;
}

/**
 * A transfer that broke off, or took too long. When the PDS that was at fault does not answer at all it is down, and is
 * waited for; when it does, it is this very transfer that it cannot do, and attempts bound that.
 */
export async function overOrBroken({ run, source, target }: Move, error: unknown): Promise<never> {
  if (!(error instanceof XrpcError)) throw error;
  const { host } = error.nsid.startsWith('com.atproto.sync.') ? source : target;
  await turnTo(run, host);
  if (error.fault !== 'timeout' && error.fault !== 'interrupted') throw error;
  await readHealth(host.pds);
  throw new ProvisioningError(
    'MOVE_TRANSFER_BROKE',
    'Your data could not be carried over: the transfer broke off or took too long, or the PDS takes nothing so large. Try again later; if it stays, tell an operator.',
    { retryable: true, cause: error },
  );
}
