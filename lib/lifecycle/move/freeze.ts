import { activateAccount, deactivateAccount } from '../../pds/client/accounts.ts';
import { readHoldings } from '../../pds/client/migration.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { waitOut } from '../changes/wait-out.ts';
import { giveHandle } from './arrive.ts';
import { stepDone } from './progress.ts';
import { type Move, openEnd, ownerAt } from './stations.ts';

/**
 * blobs_complete → freezing: from now on the old account may be deactivated. Not before nothing that was sent earlier
 * could still be imported: it would take back what is carried over afterwards.
 */
export async function beginFreezing({ run, change }: Move): Promise<void> {
  waitOut(run, timeOf(change, 'import_started_at'), 'move_unfinished');
  await stepDone(run, change, 'freezing', {
    freezing_at: run.now().toISOString(),
    import_started_at: null,
  });
}

/** freezing → frozen: the old account takes no more writes, of nobody. Its owner can still read all of it. */
export async function freeze(move: Move): Promise<void> {
  const { run, change, source } = move;
  const owner = await ownerAt(run, source);
  await deactivateAccount(owner.pds, owner.accessJwt);
  const { activated } = await readHoldings(await ownerAt(run, source));
  if (activated) throw notFrozen();
  await stepDone(run, change, 'frozen');
}

export function notFrozen(): ProvisioningError {
  return new ProvisioningError(
    'MOVE_SOURCE_NOT_FROZEN',
    'Your account does not stay deactivated on your present PDS, so that it cannot be moved. Log out of other apps, or ask the operator of that PDS.',
    { retryable: true },
  );
}

/**
 * Takes that back; of who comes home, the old PDS sees the document again. Of a deactivation whose end nobody saw, only
 * once it cannot come any more.
 */
export async function thaw(run: Run, change: Change): Promise<void> {
  const source = { run, host: await openEnd(run, run) };
  const owner = await ownerAt(run, source);
  await activateAccount(owner.pds, owner.accessJwt).catch((error) => orNotSeenYet(run, error));
  if (change.step === 'freezing') waitOut(run, timeOf(change, 'freezing_at'), 'move_unfinished');
  const { activated, validDid } = await readHoldings(await ownerAt(run, source));
  const comesHome = change.step === 'returned';
  if (activated && (validDid || !comesHome)) return comesHome ? giveHandle(run, source) : undefined;
  throw new ProvisioningError(
    'MOVE_NOT_TAKEN_BACK',
    'Your present PDS does not activate your account again. Its operator must look into that.',
    { retryable: true },
  );
}

/** A PDS that refuses may have read a document that somebody has kept from before a change of it. */
function orNotSeenYet({ identity, now }: Run, error: unknown): never {
  const { document_settles_at: settlesAt } = identity;
  if (isRejection(error) && settlesAt && now() < settlesAt) throw new Parked('not_seen_yet', settlesAt);
  throw error;
}
