import { sayTo } from '../../auth/bot/tell-member.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { closeOldAccount } from './close.ts';
import { leave } from './leave.ts';
import { leavingNews } from './news.ts';
import { asObstacle, publishPlc, whoPublishes } from './publish-plc.ts';
import { lookAtHandle, lookForAccount, type Obstacle } from './target.ts';
import { waitOrGiveUp } from './wait-or-give-up.ts';
import { wishOf } from './wish.ts';

/**
 * Hands a member over to the PDS that he named: waits until his notice is over, and then until that PDS has his account;
 * closes the old one; and has his document name the new PDS and his key there. Up to the closing he can take it back. What
 * does not come about within a week is given up, and everything is as it was: the PDS that his document names is the one
 * whose account is open.
 */
export async function handOver(run: Run, change: Change): Promise<void> {
  await awaitNotice(run, change);
  if (change.step === 'requested') {
    const obstacle = await findObstacle(run, change);
    if (obstacle) return await waitOrGiveUp(run, change, obstacle);
    // Before: a request that nobody saw the end of may have closed it, and then it cannot be taken back any more.
    const progress = { closing_since: run.now().toISOString() };
    await advance(run.sql, run, change, { step: 'closing_old_account', progress });
  }
  if (change.step === 'closing_old_account') {
    await closeOldAccount(run, change);
    await advance(run.sql, run, change, { step: 'old_account_closed' });
  }
  if (run.identity.did_method === 'plc') {
    const code = await publishPlc(run, change).catch(asObstacle);
    if (code) return await waitOrGiveUp(run, change, { code, lasting: false });
  }
  await leave(run, change);
}

/** A day before the notice is over the member hears of it again. */
async function awaitNotice(run: Run, change: Change): Promise<void> {
  const { due_at, wish, requested_by: by } = change;
  if (run.now() >= due_at) return;
  if (change.progress.reminded !== true) {
    await run.sql.begin(async (tx) => {
      await sayTo(tx, change.user_id, leavingNews({ wish, by }, { event: 'tomorrow', at: due_at }));
      await advance(tx, run, change, { progress: { reminded: true } });
    });
  }
  throw new Parked('notice', due_at);
}

async function findObstacle(run: Run, change: Change): Promise<Obstacle | undefined> {
  const { sql, strangers, now, identity, naming } = run;
  const { endpoint, handle } = wishOf(change);
  const { pds_did: did } = reserved(run);
  await hold(run);
  const obstacle = await lookForAccount({ strangers, now }, { endpoint, did });
  if (obstacle) return obstacle;
  await hold(run);
  const wanted = { userId: identity.user_id, did, handle: handle === identity.pds_handle ? null : handle };
  const code = await lookAtHandle({ sql, strangers, domain: naming.domain }, wanted);
  if (code) return { code, lasting: false };
  if (identity.did_method === 'web') return undefined;
  await hold(run);
  const publisher = await whoPublishes(run, change).catch(asObstacle);
  return publisher === 'done' || publisher === 'us' ? undefined : { code: publisher, lasting: false };
}
