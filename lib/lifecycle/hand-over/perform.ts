import { sayTo } from '../../auth/bot/tell-member.ts';
import type { Handle } from '../../brands.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { advance, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { closeOldAccount } from './close.ts';
import { leave } from './leave.ts';
import { leavingNews } from './news.ts';
import { publishPlc, whoPublishes } from './publish-plc.ts';
import { isOwnHandle, lookForAccount, type Obstacle, type TargetProblem } from './target.ts';
import { LOOK_EVERY_MS, LOOK_FOR_MS, TELL_EVERY_MS } from './times.ts';
import { wishOf } from './wish.ts';

/** What the member reads when a change is given up. */
const GIVEN_UP: Readonly<Record<TargetProblem, string>> = {
  TARGET_UNREACHABLE:
    'The new PDS did not answer for a week. Everything is as it was: ask again when it does.',
  TARGET_NOT_A_PDS:
    'At the new address there is no PDS, or one that goes by the DID of another host. Everything is as it was.',
  ACCOUNT_NOT_THERE:
    'The new PDS had no account of your DID for a week. Everything is as it was: make one there, then ask again.',
  HANDLE_NOT_YOURS:
    'The handle that you named did not lead to your DID for a week. Everything is as it was: set its DNS, then ask again.',
  ROTATION_KEYS_NOT_OURS:
    'Our key is not among the rotation keys of your DID, and no other signed for your new PDS within a week. Everything is as it was.',
};

/**
 * Hands a member over to the PDS that he named: waits until his notice is over, and then until that PDS has his account;
 * closes the old one; and has his document name the new PDS and his key there. Up to the closing he can take it back, and
 * what does not come about within a week is given up: everything is as it was. From there on it goes on.
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
  if (run.identity.did_method === 'plc') await publishPlc(run, change);
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
  if (handle !== null && handle !== identity.pds_handle) {
    const owner = { userId: identity.user_id, did, handle: handle as Handle };
    const isOwn = await isOwnHandle({ sql, strangers, domain: naming.domain }, owner);
    if (!isOwn) return { code: 'HANDLE_NOT_YOURS', lasting: false };
  }
  if (identity.did_method === 'web') return undefined;
  await hold(run);
  return (await whoPublishes(run, change)) === 'nobody'
    ? { code: 'ROTATION_KEYS_NOT_OURS', lasting: false }
    : undefined;
}

/** Looks again in an hour, as long as there is a chance, and tells the member once a day why. */
async function waitOrGiveUp(run: Run, change: Change, { code, lasting }: Obstacle): Promise<void> {
  const { wish, requested_by: by, due_at, progress } = change;
  const now = run.now();
  const until = new Date(due_at.getTime() + LOOK_FOR_MS);
  if (lasting || now >= until) {
    await run.sql.begin(async (tx) => {
      await sayTo(tx, change.user_id, leavingNews({ wish, by }, { event: 'failed', why: code }));
      const end = { outcome: 'failed', code, message: GIVEN_UP[code] } as const;
      await endChange(tx, run, change, end, { action: 'handed_over', details: wish });
    });
    return;
  }
  const toldAt = typeof progress.told_at === 'string' ? Date.parse(progress.told_at) : 0;
  if (toldAt <= now.getTime() - TELL_EVERY_MS) {
    await run.sql.begin(async (tx) => {
      const news = leavingNews({ wish, by }, { event: 'waiting', at: until, why: code });
      await sayTo(tx, change.user_id, news);
      await advance(tx, run, change, { progress: { told_at: now.toISOString(), waits_for: code } });
    });
  }
  throw new Parked('member', new Date(now.getTime() + LOOK_EVERY_MS));
}
