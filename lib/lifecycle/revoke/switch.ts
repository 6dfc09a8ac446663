import type { AuditEntry } from '../../audit/append.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { endTakenBack, orTakeBack } from '../changes/or-take-back.ts';
import { isWornOut } from '../changes/patience.ts';
import { waitOut } from '../changes/wait-out.ts';
import { activate, deactivate, look } from './account.ts';

type Switch = {
  /** Whether the account is to be active. */
  on: boolean;
  /** What makes it true for us, once the PDS says so. */
  conclude: () => Promise<void>;
  audit: AuditEntry['action'];
};

/**
 * Switches the account on or off at the PDS, then here. How it was is stored before: where it cannot be done, the account
 * is so again, and all is as before.
 */
export async function switchAccount(
  run: Run,
  change: Change,
  { on, conclude, audit }: Switch,
): Promise<void> {
  const takeBack = () => restore(run, change, audit);
  if (change.step === 'taking_back') return takeBack();
  await orTakeBack(
    run,
    change,
    async () => {
      if (change.progress.was_active === undefined) {
        const { active } = await look(run);
        await advance(run.sql, run, change, { step: 'looked', progress: { was_active: active } });
      }
      await send(run, change, on);
      await conclude();
    },
    async (reason) => {
      await advance(run.sql, run, change, { step: 'taking_back', progress: { reason } });
      await takeBack();
    },
  );
}

/** When the request left is stored, unless the PDS says that it is over: what comes late is waited for before it is undone. */
async function send(run: Run, change: Change, on: boolean): Promise<void> {
  const note = (sent_at: string | null) => advance(run.sql, run, change, { progress: { sent_at } });
  const departing = () => note(run.now().toISOString());
  try {
    await (on ? activate(run, departing) : deactivate(run, departing));
  } catch (error) {
    if (error instanceof XrpcError && error.final) await note(null);
    throw error;
  }
}

async function restore(run: Run, change: Change, action: AuditEntry['action']): Promise<void> {
  const { was_active: wasActive } = change.progress;
  if (typeof wasActive === 'boolean') await makeAsBefore(run, change, wasActive);
  const audit = { action, details: { change: change.kind } };
  await run.sql.begin((tx) => endTakenBack(tx, run, change, { audit }));
}

/** A PDS that lets us in no more, has lost the account, or is silent for good, has nothing that we could put back. */
async function makeAsBefore(run: Run, change: Change, wasActive: boolean): Promise<void> {
  waitOut(run, timeOf(change, 'sent_at'));
  try {
    if ((await look(run)).active !== wasActive) await (wasActive ? activate(run) : deactivate(run));
  } catch (error) {
    const isFinal = error instanceof ProvisioningError && !error.retryable;
    if (!isFinal && !isRejection(error) && !(await isWornOut(run, change, error))) throw error;
    run.log.warn('the account cannot be made as it was', { error });
  }
}
