import { XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from './advance.ts';
import type { Change } from './change.ts';

const PATIENCE_MS = 24 * 3600_000;

/** What hangs on the PDS, or on what it lets us do there: not on us, nor on this run. */
export function isOfThePds(error: unknown): boolean {
  if (error instanceof Parked)
    return ['provider_down', 'provider_busy', 'account_busy'].includes(error.reason);
  return error instanceof XrpcError || error instanceof ProvisioningError;
}

/**
 * Whether the PDS, or the PLC directory, has kept this change for a day by now. Since when is stored with the change; one
 * that never comes back must not keep its member from every other change, least of all from leaving. When true, the run
 * goes on without, and the breaker of the PDS hears of its error all the same.
 */
export async function isWornOut(run: Run, change: Change, error: unknown): Promise<boolean> {
  const isOfTheDirectory = error instanceof Parked && error.reason === 'plc_down';
  if (!isOfTheDirectory && !isOfThePds(error)) return false;
  const at = run.now();
  const { kept_since: since } = change.progress;
  if (typeof since !== 'string') {
    await advance(run.sql, run, change, { progress: { kept_since: at.toISOString() } });
    return false;
  }
  if (at.getTime() - Date.parse(since) < PATIENCE_MS) return false;
  if (run.host && error instanceof XrpcError) run.host.trouble = error;
  return true;
}
