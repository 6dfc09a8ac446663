import { updateIdentity } from '../../provisioning/identity.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change, Facts } from '../changes/change.ts';
import { goOnLater } from '../changes/go-on-later.ts';
import type { Perform } from '../changes/perform.ts';
import { endAccounts, isOutOfPatience } from './accounts.ts';
import { erase } from './erase.ts';
import { type DidEnd, endPlcDid } from './plc.ts';

const LATER = { reason: 'deletion_unfinished', afterMs: 3600_000 } as const;

/**
 * Deletes an identity for good, once its day is over: `begun` (nothing else happens to it any more) → accounts →
 * `accounts_ended` (and with them a did:plc) → everything that we have of the member. From `begun` on there is no way
 * back, and nothing is given up: a PDS or a directory that does not answer, or not as it should, is waited for, at most a
 * week.
 */
export const performDeletion: Perform = async (run, change) => {
  if (change.step === 'requested') await begin(run, change);
  try {
    if (change.step === 'begun') await endRemotely(run, change);
    await erase(run, change);
  } catch (error) {
    await goOnLater(run, error, LATER);
  }
  run.log.info('member erased', { accounts: change.progress.accounts ?? {} });
};

/** `revoked`: no worker goes on making it, no sweep looks at it, nothing restores it; its document is not kept by anybody. */
async function begin(run: Run, change: Change): Promise<void> {
  await run.sql.begin(async (tx) => {
    await updateIdentity(tx, run.identity, { status: 'revoked', document_settles_at: null });
    await advance(tx, run, change, { step: 'begun' });
  });
}

async function endRemotely(run: Run, change: Change): Promise<void> {
  await endAccounts(run, change);
  const { did_method, pds_did } = run.identity;
  const isPlc = did_method === 'plc' && pds_did !== null;
  const progress: Facts = isPlc ? { did: await endDid(run, change) } : {};
  await advance(run.sql, run, change, { step: 'accounts_ended', progress });
}

async function endDid(run: Run, change: Change): Promise<DidEnd | 'unreachable'> {
  try {
    return await endPlcDid(run);
  } catch (error) {
    const isDown = error instanceof Parked && error.reason === 'plc_down';
    if (!isDown || !isOutOfPatience(run, change)) throw error;
    return 'unreachable';
  }
}
