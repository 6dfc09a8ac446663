import type { AuditEntry } from '../../audit/append.ts';
import { tellMember } from '../../auth/bot/tell-member.ts';
import type { Transaction } from '../../db/connect.ts';
import type { ErrorDetails, IdentityChange } from '../../provisioning/identity.ts';
import { outcomeOf, Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { endChange } from './advance.ts';
import type { Change } from './change.ts';
import { isWornOut } from './patience.ts';

/** Its member wants it so: nobody has to tell him. */
const CANCELLED: ErrorDetails = { code: 'CANCELLED', message: '' };
const PDS_SILENT: ErrorDetails = {
  code: 'PDS_UNAVAILABLE',
  message: 'Your identity server has not answered for a day. Try again when it does.',
};
export const PLC_SILENT: ErrorDetails = {
  code: 'PLC_UNAVAILABLE',
  message: 'The PLC directory has not answered for a day. Try again when it does.',
};

/**
 * Does what a change is for. Where its member does not want it any more, or its work would be given up now, because the
 * reason is final, no attempt is left, or the PDS or the PLC directory has kept it waiting for a day, `takeBack` is told why
 * and undoes what was done instead. What waits, or is tried again, is thrown on.
 */
export async function orTakeBack(
  run: Run,
  change: Change,
  perform: () => Promise<void>,
  takeBack: (reason: ErrorDetails) => Promise<void>,
): Promise<void> {
  if (change.cancel_wanted_at !== null) return takeBack(CANCELLED);
  try {
    await perform();
  } catch (error) {
    const { work, now, random, log } = run;
    const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
    const isSilent = outcome.kind === 'parked' && (await isWornOut(run, change, error));
    const silent = error instanceof Parked && error.reason === 'plc_down' ? PLC_SILENT : PDS_SILENT;
    const reason = isSilent ? silent : outcome.kind === 'failed' && outcome.error;
    if (!reason) throw error;
    log.warn('the change is taken back', { code: reason.code, error });
    await takeBack(reason);
  }
}

/** Ends a change that was taken back for the reason that is stored with it, in the caller's transaction. */
export async function endTakenBack(
  tx: Transaction,
  run: Run,
  change: Change,
  { identity, audit }: { identity?: IdentityChange; audit: Pick<AuditEntry, 'action' | 'details'> },
): Promise<void> {
  const { code, message, ...facts } = change.progress.reason as ErrorDetails;
  const isCancelled = code === CANCELLED.code;
  await endChange(
    tx,
    run,
    change,
    {
      ...(isCancelled ? { outcome: 'cancelled' } : { outcome: 'failed', code, message }),
      ...(identity && { identity }),
    },
    { ...audit, details: { ...audit.details, ...facts } },
  );
  if (!isCancelled) await tellMember(tx, run.identity.user_id, 'change_failed', { code, message });
}
