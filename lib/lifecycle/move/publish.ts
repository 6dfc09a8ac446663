import { LOOK_BACK_MS, sealLeft, writeDown } from '../../provisioning/orphans/left.ts';
import { advance } from '../changes/advance.ts';
import { expectNotCancelled } from './cancelled.ts';
import { bothHoldings, sameRepo } from './carry-over.ts';
import { notFrozen } from './freeze.ts';
import { needsSource, stepDone } from './progress.ts';
import { noteSubmission, publishInDirectory } from './publish-plc.ts';
import { readArrival, settleIn } from './settle-in.ts';
import type { Move } from './stations.ts';

/** So often what was carried over may have changed once more. */
const MOST_TIMES = 5;

/**
 * carried_over → published: the DID document names the new PDS and its repo key. In the transaction that makes it so the
 * member's row does, too, with the credentials of the new account, and the old account is written down with its own: there
 * it is found again by who comes home (come-home.ts).
 */
export async function publish(move: Move): Promise<void> {
  const { run, change, target: end } = move;
  const { did_method } = run.identity;
  if (needsSource(change) && !(await isCarriedOver(move))) return beginAgain(move);
  const arrival = await readArrival(run, end);
  const left = await sealLeft(run, run.now());
  const { recommended } = arrival;
  if (did_method === 'plc') {
    await publishInDirectory(run, recommended, () => noteSubmission(run, change, recommended));
  }
  await settleIn(run, change, { end, arrival }, async (tx) => {
    if (did_method === 'web') await expectNotCancelled(tx, change);
    const movedAt = run.now();
    await writeDown(tx, left, { movedAt, lookAt: new Date(movedAt.getTime() + LOOK_BACK_MS) });
    await advance(tx, run, change, { step: 'published', progress: { stuck_since: null } });
  });
}

async function isCarriedOver(move: Move): Promise<boolean> {
  const [there, here] = await bothHoldings(move);
  return !here.activated && !there.activated && sameRepo(there, here);
}

/** Somebody has activated the old account again, or what was sent before came late: that is carried over first. */
async function beginAgain({ run, change }: Move): Promise<void> {
  const times = Number(change.progress.begun_again ?? 0) + 1;
  if (times > MOST_TIMES) throw notFrozen();
  await stepDone(run, change, 'blobs_complete', { begun_again: times });
}
