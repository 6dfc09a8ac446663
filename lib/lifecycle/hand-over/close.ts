import { notifyOperators } from '../../operators/notify.ts';
import { deactivateAccount } from '../../pds/client/accounts.ts';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { sessionOf } from '../../provisioning/account/adopt.ts';
import { openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { isOfThePds, isWornOut } from '../changes/patience.ts';
import { activate } from '../revoke/account.ts';
import { CLOSE_WITHIN_MS, LOOK_EVERY_MS } from './times.ts';

/**
 * Deactivates the account of who leaves us, so that there are never two that take writes. A PDS that is down, or does not
 * open the account for us, is asked for a day; then he goes all the same, and operators are told: nobody is kept here by
 * a PDS that has died, and what that one would still sign, no document vouches for.
 * Who has left before has no account with us. May be repeated.
 */
export async function closeOldAccount(run: Run, change: Change): Promise<void> {
  if (run.identity.left_at !== null) return;
  const { now } = run;
  const until = Date.parse(String(change.progress.closing_since)) + CLOSE_WITHIN_MS;
  try {
    await hold(run);
    const host = await openAccountHost(run);
    run.host = host;
    const { accessJwt } = await sessionOf(run, host);
    await hold(run);
    await deactivateAccount(host.pds, accessJwt);
  } catch (error) {
    if (!isOfThePds(error)) throw error;
    if (now().getTime() < until) {
      if (isOutage(error)) throw error;
      run.log.info('the account of who leaves cannot be closed yet', { error });
      throw new Parked('member', new Date(now().getTime() + LOOK_EVERY_MS));
    }
    if (run.host) run.host.trouble = error instanceof XrpcError ? error : undefined;
    run.log.warn('the account of who leaves could not be closed', { error });
    await advance(run.sql, run, change, { progress: { left_open: true } });
    await notifyOperators(run.sql, { kind: 'account_left_open', subject: change.pnptv_uuid });
  }
}

/**
 * Activates it again, when no document will ever name the new PDS. The PDS reads the document: should that name another one
 * after all, it refuses. Throws Parked as long as it does not do so, for a day; false when it is closed even then. One that
 * was deactivated before stays so.
 */
export async function reopenOldAccount(run: Run, change: Change): Promise<boolean> {
  if (run.identity.status !== 'active') return true;
  try {
    await activate(run);
    return true;
  } catch (error) {
    if (!isOfThePds(error)) throw error;
    run.log.warn('the account of who stays cannot be activated again yet', { error });
    // One that we could not close is open, for all that we know.
    if (await isWornOut(run, change, error)) return change.progress.left_open === true;
    if (isOutage(error)) throw error;
    throw new Parked('member', new Date(run.now().getTime() + LOOK_EVERY_MS));
  }
}

/** What `outcomeOf` waits for by itself. What else a PDS answers would be given up after a few attempts, and is not. */
function isOutage(error: unknown): boolean {
  return (
    error instanceof Parked ||
    (error instanceof XrpcError && (error.providerDown || error.fault === 'throttled'))
  );
}
