import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { LeaseLost, updateIdentity } from '../identity.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { OutcomeUnknown, Parked } from '../queue/outcome.ts';
import type { Run } from '../run.ts';
import { quarantineEnd, restartQuarantine } from './quarantine.ts';

/**
 * Stores that a createAccount is about to leave: from now on until the quarantine is over nobody sends another one.
 * Throws LeaseLost in a worker that was frozen in between: another one may have waited out the quarantine.
 */
export async function noteDeparture({ sql, identity, now, times }: Run): Promise<void> {
  const startedAt = now();
  await updateIdentity(sql, identity, { create_started_at: startedAt });
  if (now().getTime() - startedAt.getTime() > times.http * 1000) throw new LeaseLost();
}

/** Sends one createAccount, and leaves `create_started_at` standing only if it may have had an effect. */
export async function sendOnce<Made>(run: Run, send: () => Promise<Made>): Promise<Made> {
  const { sql, identity, now, times } = run;
  const earlier = identity.create_started_at;
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    const overAndDone =
      error.fault === 'unreachable' ||
      error.fault === 'throttled' ||
      (isRejection(error) && error.error !== 'AlreadyExists');
    if (overAndDone) await updateIdentity(sql, identity, { create_started_at: earlier });
    if (overAndDone || error.final || error.fault === 'unavailable') throw error;
    throw new OutcomeUnknown(error, new Date(now().getTime() + times.http * 1000));
  }
}

/**
 * What an earlier createAccount made whose end we did not see: `look` looks for it, now and until the quarantine is
 * over. Undefined when none left, and when nothing can be running any more and there is an attempt left.
 */
export async function adoptEarlier<Found>(
  run: Run,
  look: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const { times, now, work, log } = run;
  if (quarantineEnd(run) === undefined) return undefined;
  const found = await look().catch(async (error) => {
    // Ours may still lie before it, unread.
    if (error instanceof XrpcError && error.providerDown) await restartQuarantine(run);
    throw error;
  });
  if (found) {
    log.info('account of an earlier attempt adopted');
    return found;
  }
  const at = now().getTime();
  const end = quarantineEnd(run)?.getTime() ?? at;
  if (at < end) {
    // Looking now and then costs little, and most late accounts are there long before the end.
    throw new Parked('outcome_unknown', new Date(Math.min(at + times.http * 1000, end)));
  }
  if (work.attemptCount >= work.maxAttempts) {
    throw new ProvisioningError(
      'ACCOUNT_CREATION_UNANSWERED',
      'The identity server never answered the creation of the account, and made none. Try again later.',
    );
  }
  return undefined;
}
