import { notifyOperators } from '../../operators/notify.ts';
import { outcomeOf, Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { type Change, readOpenChange } from '../changes/change.ts';
import { goOnLater } from '../changes/go-on-later.ts';
import type { Perform } from '../changes/perform.ts';
import { createOrAdopt } from './account.ts';
import { activate, endMove, write } from './arrive.ts';
import { expectNotCancelled } from './cancelled.ts';
import { carryOver, importBlobs, importRepo } from './carry-over.ts';
import { comeHome, comeHomeInDirectory } from './come-home.ts';
import { beginFreezing, freeze } from './freeze.ts';
import { prepare } from './prepare.ts';
import { hasLasted, isPastReturn, isPublished } from './progress.ts';
import { publish } from './publish.ts';
import { reasonToComeHome } from './reason-to-come-home.ts';
import { PATIENCE_MS, reasonToRetreat } from './retreat.ts';
import { goWithout, type Move, openStations } from './stations.ts';
import { retreatOf, takeBack } from './take-back.ts';

/** The step that follows each, as long as the move can be taken back. Every one may be begun again. */
const ON_THE_WAY: Readonly<Record<string, (move: Move) => Promise<void>>> = {
  prepared: createOrAdopt,
  account_created: importRepo,
  repo_imported: importBlobs,
  blobs_complete: beginFreezing,
  freezing: freeze,
  frozen: carryOver,
  carried_over: publish,
};
/** And from then on. */
const ARRIVED: Readonly<Record<string, (run: Run, change: Change) => Promise<void>>> = {
  published: activate,
  activated: write,
  written: endMove,
};
/** What stands in the way is looked at again, for as long as it takes. */
const LATER = { reason: 'move_unfinished', afterMs: 5 * 60_000 } as const;

/**
 * Moves a member to another PDS of the settings: https://atproto.com/guides/account-migration. Until the account there is
 * known to be active everything can be taken back, and is, when it cannot be done or is not wanted any more; from then on
 * it is gone on with until it is done. The old account is deactivated before the new one is activated: two that can be
 * written to there never are.
 */
export const move: Perform = async (run, change) => {
  try {
    await thereOrBack(run, change);
  } catch (error) {
    await tellOfSilence(run, change, error);
    throw error;
  }
};

async function thereOrBack(run: Run, change: Change): Promise<void> {
  const retreat = retreatOf(change);
  if (retreat && (await retreating(run, change, retreat))) return;
  if (!isPastReturn(change)) {
    try {
      await goThere(run, change);
    } catch (error) {
      const reason = await reasonToRetreat(run, change, error);
      if (!reason) throw error;
      goWithout(run, error);
      if (await retreating(run, change, reason)) return;
    }
  }
  try {
    await arrive(run, change);
  } catch (error) {
    const reason = await reasonToComeHome(run, change, error);
    if (!reason) return goOnLater(run, error, LATER);
    goWithout(run, error);
    if (await retreating(run, change, reason)) return;
    throw new Parked('move_unfinished', run.now());
  }
}

/** Nobody but operators can help who is where the document was changed, and finds everybody silent. */
async function tellOfSilence(run: Run, change: Change, error: unknown): Promise<void> {
  if (!isPublished(change) && change.step !== 'returned') return;
  const { sql, work, now, random, identity } = run;
  const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
  if (outcome.kind !== 'parked' || outcome.reason !== 'provider_down') return;
  if (!(await hasLasted(run, change, 'stuck_since', PATIENCE_MS))) return;
  await notifyOperators(sql, { kind: 'move_unfinished', subject: identity.pnptv_uuid });
}

async function goThere(run: Run, change: Change): Promise<void> {
  if (!isPastReturn(change)) await expectNotCancelled(run.sql, change);
  if (change.step === 'requested') await prepare(run, change);
  const stations = await openStations(run, change);
  for (let next = ON_THE_WAY[change.step]; next; next = ON_THE_WAY[change.step]) {
    if (!isPastReturn(change)) await expectNotCancelled(run.sql, change);
    await next(stations);
  }
}

async function arrive(run: Run, change: Change): Promise<void> {
  if (!isPublished(change)) await goThere(run, change);
  for (let next = ARRIVED[change.step]; next; next = ARRIVED[change.step]) {
    await next(run, change);
    if (next === endMove) return;
  }
}

/** False when he is to go on after all. */
async function retreating(...[run, change, reason]: Parameters<typeof takeBack>): Promise<boolean> {
  try {
    const stored = await readOpenChange(run.sql, run.identity.user_id);
    // A commit whose end nobody saw: the next run goes on from there.
    if (stored && stored.step !== change.step) throw new Parked('move_unfinished', run.now());
    if (isPublished(change)) {
      if (!(await comeHome(run, change, reason))) return false;
    } else if (isPastReturn(change)) {
      await comeHomeInDirectory(run, change, reason);
    }
    return await takeBack(run, change, reason);
  } catch (error) {
    return goOnLater(run, error, LATER);
  }
}
