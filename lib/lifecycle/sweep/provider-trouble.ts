import { noteFailure, noteThrottled } from '../../pds/breaker.ts';
import type { XrpcError } from '../../pds/xrpc-error.ts';
import type { SweepDeps } from './group.ts';

/**
 * Minds a provider while many ask it: once it is down or too busy nobody asks on, and nothing is said about any member.
 * The others who talk to it are told.
 */
export function minding({ sql, now, log }: Pick<SweepDeps, 'sql' | 'now' | 'log'>, providerId: string) {
  const trouble = {
    found: false,
    /** True when this error, if there is one, is the provider's own trouble. */
    async note(error: XrpcError | undefined): Promise<boolean> {
      if (!error || !(error.providerDown || error.fault === 'throttled')) return false;
      if (trouble.found) return true;
      trouble.found = true;
      if (error.retryAt) await noteThrottled(sql, providerId, error.retryAt);
      else await noteFailure(sql, providerId, now());
      log.warn('the provider is in trouble: the sweep leaves it alone', { provider: providerId, error });
      return true;
    },
  };
  return trouble;
}
