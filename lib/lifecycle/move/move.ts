import type { Run } from '../../provisioning/run.ts';
import type { Change } from '../changes/change.ts';
import { goOnLater } from '../changes/go-on-later.ts';
import type { Perform } from '../changes/perform.ts';
import { createOrAdopt } from './account.ts';
import { activate, endMove, write } from './arrive.ts';
import { expectNotCancelled } from './cancelled.ts';
import { carryOver, importBlobs, importRepo } from './carry-over.ts';
import { beginFreezing, freeze } from './freeze.ts';
import { prepare } from './prepare.ts';
import { isPastReturn, isPublished } from './progress.ts';
import { publish } from './publish.ts';
import { reasonToRetreat } from './retreat.ts';
import { type Move, openStations, requestOf } from './stations.ts';
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
/** What stands in the way after that is looked at again, for as long as it takes. */
const LATER = { reason: 'move_unfinished', afterMs: 5 * 60_000 } as const;

/**
 * Moves a member to another PDS of the settings: https://atproto.com/guides/account-migration. Until the document names the
 * new one everything can be taken back, and is, when it cannot be done or is not wanted any more; from then on it is gone
 * on with until it is done. The old account is deactivated before the new one is activated: two that can be written to
 * there never are.
 */
export const move: Perform = async (run, change) => {
  const retreat = retreatOf(change);
  if (retreat && (await retreating(run, change, retreat))) return;
  if (!isPastReturn(change)) {
    try {
      await goThere(run, change);
    } catch (error) {
      const reason = await reasonToRetreat(run, change, error);
      if (!reason) throw error;
      const request = requestOf(error);
      if (run.host && request) run.host.trouble = request;
      if (await retreating(run, change, reason)) return;
    }
  }
  await arrive(run, change).catch((error) => goOnLater(run, error, LATER));
};

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

async function retreating(...[run, change, reason]: Parameters<typeof takeBack>): Promise<boolean> {
  return takeBack(run, change, reason).catch((error) => goOnLater(run, error, LATER));
}
