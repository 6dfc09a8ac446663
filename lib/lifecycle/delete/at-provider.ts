import { admit } from '../../pds/breaker.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { restartQuarantine } from '../../provisioning/account/quarantine.ts';
import { type AccountHost, findHost, reportProvider } from '../../provisioning/providers/provider-access.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { hold } from '../changes/hold.ts';

/**
 * Opens the way to a provider for what `ask` does there, and tells the others how it did. Throws Parked while it is not to
 * be asked, and XrpcError when it did not answer.
 */
export async function atProvider<T>(
  run: Run,
  providerId: string,
  ask: (host: AccountHost) => Promise<T>,
): Promise<T> {
  const { sql, now, times } = run;
  await hold(run);
  const host = await findHost(run, providerId);
  const admission = await admit(sql, host.state, { now: now(), probeMs: times.lease * 1000 });
  if (!admission.admitted) {
    if (admission.reason === 'provider_down') await restartQuarantine(run);
    throw new Parked(admission.reason, admission.until);
  }
  // Whatever ends this run is put down to this provider.
  run.host = host;
  try {
    const result = await ask(host);
    await reportProvider(run, host);
    return result;
  } catch (error) {
    if (error instanceof XrpcError && error.providerDown) await restartQuarantine(run);
    throw error;
  }
}

/** Whether an error is the provider's: it cannot be asked now, or does not do what it is asked. */
export function isOfProvider(error: unknown): boolean {
  if (error instanceof Parked) return error.reason === 'provider_down' || error.reason === 'provider_busy';
  return error instanceof XrpcError;
}
