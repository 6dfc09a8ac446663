import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Handle } from '../../brands.ts';
import { didKeyToMultikey } from '../../identity/multikey.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import type { Run } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { backUpCredentials } from '../custody/backup.ts';
import { leavingNews } from './news.ts';
import { isBorne } from './target.ts';
import { wishOf } from './wish.ts';

/**
 * Has the member left, in one transaction: his document names his new PDS and his key there from now on, with `no-store`
 * for a while; his credentials are backed up once more, the sessions at the old PDS forgotten; he is `revoked` here. His
 * own Ed25519 key stays in the document, or what it has signed could not be verified any more; our handle leads on to him.
 */
export async function leave(run: Run, change: Change): Promise<void> {
  const { sql, vault, identity, now } = run;
  const { endpoint, atprotoKey, handle } = wishOf(change);
  const { wish, requested_by: by, user_id: userId } = change;
  const at = now();
  await sql.begin(async (tx) => {
    // The queue row before the mapping row, as everywhere.
    await tx`SELECT FROM pds_provisioning_queue WHERE id = ${run.work.queueId} FOR UPDATE`;
    // It was free when it was looked at; a day may have passed since.
    const isFree = handle !== null && !(await isBorne(tx, { userId, handle }));
    if (identity.status === 'active') await backUpCredentials({ tx, vault }, userId, 'recovery');
    await updateIdentity(tx, identity, {
      status: 'revoked',
      left_at: identity.left_at ?? at,
      pds_endpoint: endpoint,
      atproto_public_key: didKeyToMultikey(atprotoKey),
      pds_handle: isFree ? (handle as Handle) : identity.pds_handle,
      pds_access_token: null,
      pds_refresh_token: null,
      document_settles_at: new Date(at.getTime() + SETTLING_MS),
      verification_status: 'unknown',
      health_problem: null,
      consecutive_failures: 0,
    });
    await sayTo(tx, userId, leavingNews({ wish, by }, { event: 'left' }));
    const details = { ...wish, old_account_left_open: change.progress.left_open === true };
    await endChange(tx, run, change, { outcome: 'done' }, { action: 'handed_over', details });
  });
}
