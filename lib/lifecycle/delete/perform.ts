import { updateIdentity } from '../../provisioning/identity.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import type { Perform } from '../changes/perform.ts';
import { endAccounts } from './accounts.ts';
import { erase } from './erase.ts';
import { endPlcDid } from './plc.ts';

/**
 * Deletes an identity for good, once its day is over: `begun` (nothing else happens to it any more) → accounts →
 * `accounts_ended` (and with them a did:plc) → everything that we have of the member. From `begun` on there is no way
 * back: whatever does not answer is waited for, at most a week.
 */
export const performDeletion: Perform = async (run, change) => {
  if (change.step === 'requested') await begin(run, change);
  if (change.step === 'begun') {
    await endAccounts(run, change);
    const { did_method, pds_did } = run.identity;
    const isPlc = did_method === 'plc' && pds_did !== null;
    await advance(run.sql, run, change, {
      step: 'accounts_ended',
      progress: isPlc ? { did: await endPlcDid(run) } : {},
    });
  }
  await erase(run, change);
  run.log.info('member erased', { accounts: change.progress.accounts ?? {} });
};

/** `revoked`: no worker goes on making it, no sweep looks at it, nothing restores it; its document is not kept by anybody. */
async function begin(run: Run, change: Change): Promise<void> {
  await run.sql.begin(async (tx) => {
    await updateIdentity(tx, run.identity, { status: 'revoked', document_settles_at: null });
    await advance(tx, run, change, { step: 'begun' });
  });
}
