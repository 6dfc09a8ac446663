import { sayTo } from '../../auth/bot/tell-member.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { OFF } from '../revoke/revoke.ts';
import { reopenOldAccount } from './close.ts';
import { leavingNews } from './news.ts';
import type { Obstacle, TargetProblem } from './target.ts';
import { CLOSED_FOR_MS, LOOK_EVERY_MS, LOOK_FOR_MS, TELL_EVERY_MS } from './times.ts';

/** What the member reads when a change is given up: why, and what he can do. */
const GIVEN_UP: Readonly<Record<TargetProblem, readonly [string, string]>> = {
  TARGET_UNREACHABLE: ['The new PDS did not answer for a week.', 'Ask again when it does.'],
  TARGET_NOT_A_PDS: [
    'At the new address there is no PDS, or one that goes by the DID of another host.',
    'Look at the address, then ask again.',
  ],
  ACCOUNT_NOT_THERE: [
    'The new PDS had no account of your DID for a week.',
    'Make one there, then ask again.',
  ],
  HANDLE_NOT_YOURS: [
    'The handle that you named did not lead to your DID for a week.',
    'Set its DNS, then ask again.',
  ],
  HANDLE_TAKEN: [
    'Another member here bore the handle that you named, for a week.',
    'Name another one, or none: then yours stays.',
  ],
  ROTATION_KEYS_NOT_OURS: [
    'Our key is not among the rotation keys of your DID, and no other signed for your new PDS in time.',
    'Sign the change of your DID with a rotation key of yours, then ask again.',
  ],
  ROTATION_KEYS_TOO_MANY: [
    'With those of your new PDS your DID would have more than the five rotation keys that it may have.',
    'Take one of yours away, then ask again.',
  ],
  PLC_REFUSED: ['The PLC directory did not take the change of your DID for two days.', 'Ask again later.'],
  DID_ENDED: [
    'Your DID was ended in the PLC directory by a key of it.',
    'Nothing can be changed in it any more.',
  ],
};
const AS_IT_WAS = 'Everything is as it was.';
const SWITCHED_OFF =
  'Your account was closed for it, and for a day your PDS did not answer, or did not open it again: your identity is switched off. Bring it back (POST /api/pds/reactivate) when it does.';

/** Looks again in an hour, as long as there is a chance, and tells the member once a day why. */
export async function waitOrGiveUp(run: Run, change: Change, { code, lasting }: Obstacle): Promise<void> {
  const { wish, requested_by: by, due_at, progress } = change;
  const now = run.now();
  const closed = typeof progress.closing_since === 'string' ? Date.parse(progress.closing_since) : 0;
  const until = new Date(closed > 0 ? closed + CLOSED_FOR_MS : due_at.getTime() + LOOK_FOR_MS);
  if (lasting || now >= until) {
    const isOpen = closed === 0 || (await reopenOldAccount(run, change));
    const [why, todo] = GIVEN_UP[code];
    const message = [why, isOpen ? AS_IT_WAS : SWITCHED_OFF, todo].join(' ');
    await run.sql.begin(async (tx) => {
      const event = isOpen ? 'failed' : 'switched_off';
      await sayTo(tx, change.user_id, leavingNews({ wish, by }, { event, why: code }));
      const end = { outcome: 'failed', code, message, ...(!isOpen && { identity: OFF }) } as const;
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
