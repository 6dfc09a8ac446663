import { sayTo } from '../../auth/bot/tell-member.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { reopenOldAccount } from './close.ts';
import { leavingNews } from './news.ts';
import type { Obstacle, TargetProblem } from './target.ts';
import { LOOK_EVERY_MS, LOOK_FOR_MS, TELL_EVERY_MS } from './times.ts';

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
  ROTATION_KEYS_TOO_MANY:
    'With those of your new PDS your DID would have more than the five rotation keys that it may have. Everything is as it was: take one of yours away, then ask again.',
  PLC_REFUSED:
    'The PLC directory did not take the change of your DID for a week. Everything is as it was: ask again later.',
};

/** Looks again in an hour, as long as there is a chance, and tells the member once a day why. */
export async function waitOrGiveUp(run: Run, change: Change, { code, lasting }: Obstacle): Promise<void> {
  const { wish, requested_by: by, due_at, progress } = change;
  const now = run.now();
  const closed = typeof progress.closing_since === 'string' ? Date.parse(progress.closing_since) : 0;
  const until = new Date(Math.max(due_at.getTime(), closed) + LOOK_FOR_MS);
  if (lasting || now >= until) {
    if (closed > 0) await reopenOldAccount(run, change);
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
      await advance(tx, run, change, { progress: { told_at: now.toISOString() } });
    });
  }
  await advance(run.sql, run, change, { progress: { waits_for: code } });
  throw new Parked('member', new Date(now.getTime() + LOOK_EVERY_MS));
}
