import { deactivateAccount } from '../../pds/client/accounts.ts';
import { getRecommendedDidCredentials } from '../../pds/client/identity.ts';
import { readHoldings } from '../../pds/client/migration.ts';
import { findLeft, moveBackIn } from '../../provisioning/orphans/left.ts';
import { openOrphanPassword } from '../../provisioning/orphans/password.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { outcomeOf } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import { type Change, type Facts, timeOf } from '../changes/change.ts';
import { isOfThePds } from '../changes/patience.ts';
import { waitOut } from '../changes/wait-out.ts';
import { newHome } from './arrive.ts';
import { expectDidOurs } from './prepare.ts';
import { ACTIVATING, hasLasted, NO_WAY_HOME, WANTED_IN_VAIN } from './progress.ts';
import { NOT_SUBMITTED, publishInDirectory } from './publish-plc.ts';
import { FROZEN_MS, PATIENCE_MS } from './retreat.ts';
import { readArrival, settleIn } from './settle-in.ts';
import { goWithout, openEnd, ownerAt, runAt } from './stations.ts';
import type { Retreat } from './take-back.ts';

const SUBMITTED_HOME = 'plc_submitted_home';

/**
 * published → coming_home → returned: the document names the old PDS and its repo key again, and so does the member's row,
 * with the credentials of the account there; take-back.ts does the rest. It is decided only when that PDS answers, has his
 * repository, and his DID is ours to change. False when he is to go on to the new one after all: something was written
 * there, or by now it is the old one that does not answer.
 *
 * Why there are no two accounts that take writes, even with a new PDS that is silent and was asked to activate his: a PDS
 * activates an account only while the document names it, which it reads anew for that (`@atproto/pds`, account-manager.ts,
 * activateAccount), and the old one is asked only after the document has left the new one. One that answers deactivates its
 * account before that, once nothing that was sent can be at work there any more. One that does not may have activated it;
 * then nobody follows what it says of him, because the document does not name it, and its password nobody knows but us and
 * whom we have shown it. When it is back, the reconciler of orphans finds the account ours, and not the one that counts:
 * it deactivates what it finds active at once, and deletes it, where it may, only after the time for looking back.
 */
export async function comeHome(run: Run, change: Change, retreat: Retreat): Promise<boolean> {
  const home = await lookHome(run, change, retreat).catch((error) => turnRound(run, change, retreat, error));
  if (home === undefined) return false;
  if (await isWrittenTo(run, change)) {
    await goOn(run, change, { [NO_WAY_HOME]: true });
    return false;
  }
  const { end, arrival, left } = home;
  if (run.identity.did_method === 'plc') {
    const submitting = () => advance(run.sql, run, change, { progress: { [SUBMITTED_HOME]: true } });
    await publishInDirectory(run, arrival.recommended, submitting);
  }
  await settleIn(run, change, { end, arrival }, async (tx) => {
    await moveBackIn(tx, left);
    await advance(tx, run, change, { step: 'returned', progress: { ...NOT_SUBMITTED, [ACTIVATING]: null } });
  });
  run.log.info('the document names the old PDS again');
  return true;
}

/**
 * The same while only the PLC directory names the new PDS, and our row does not yet: the account there was never to be
 * active.
 */
export async function comeHomeInDirectory(run: Run, change: Change, retreat: Retreat): Promise<void> {
  const owner = await ownerAt(run, { run, host: await openEnd(run, run) });
  const recommended = await getRecommendedDidCredentials(owner.pds, owner.accessJwt);
  await expectDidOurs(run);
  const submitting = () => advance(run.sql, run, change, { progress: { retreat } });
  await publishInDirectory(run, recommended, submitting);
  await advance(run.sql, run, change, { step: 'returned', progress: { retreat, ...NOT_SUBMITTED } });
}

/** The old PDS, and all that is needed to live there again; that he comes home is stored. */
async function lookHome(run: Run, change: Change, retreat: Retreat) {
  const left = await findLeft(run, String(change.progress.from));
  if (left === undefined || left.state === 'closing') {
    throw new ProvisioningError(
      'MOVE_NO_WAY_HOME',
      'The account on your old PDS is not kept any more, so that you cannot come back to it.',
    );
  }
  const password = await openOrphanPassword(run.vault, left);
  const there = await runAt(run, String(change.progress.from), password);
  const end = { run: there, host: await openEnd(run, there) };
  const arrival = await readArrival(run, end);
  if (change.step === 'published') {
    await readHoldings(await ownerAt(run, end));
    await expectDidOurs(run);
    await advance(run.sql, run, change, {
      step: 'coming_home',
      progress: { retreat, home_stuck_since: null },
    });
  }
  return { end, arrival, left };
}

/**
 * What to do when the old PDS cannot be come home to. Who wanted to, or was on his way, goes on to the new one again, when it
 * cannot be at all or has been silent for too long; unless the directory may name the old one already.
 */
async function turnRound(run: Run, change: Change, retreat: Retreat, error: unknown): Promise<undefined> {
  const isWanted = retreat.outcome === 'cancelled';
  if (!isWanted && change.step === 'published') throw error;
  if (!isOfThePds(error) || change.progress[SUBMITTED_HOME] === true) throw error;
  const { work, now, random } = run;
  const isFinal = outcomeOf(error, { work, now: now(), random: random.fraction }).kind === 'failed';
  if (!isFinal && !(await hasLasted(run, change, 'home_stuck_since', PATIENCE_MS))) throw error;
  goWithout(run, error);
  await goOn(run, change, isWanted ? { [WANTED_IN_VAIN]: true } : {});
  return undefined;
}

async function goOn(run: Run, change: Change, progress: Facts): Promise<void> {
  const undecided = { retreat: null, home_stuck_since: null, ...progress };
  await advance(run.sql, run, change, { step: 'published', progress: undecided });
}

/**
 * Whether something was written at the new PDS that is nowhere else; if not, its account is deactivated, unless it does not
 * let us. It has as long for that as a member may be without an account.
 */
async function isWrittenTo(run: Run, change: Change): Promise<boolean> {
  try {
    const station = await newHome(run);
    waitOut(run, timeOf(change, ACTIVATING), 'move_unfinished');
    const look = async () => {
      const { activated, repoCommit } = await readHoldings(await ownerAt(run, station));
      return { activated, written: repoCommit !== change.progress.repo_commit };
    };
    const before = await look();
    if (before.activated && before.written) return true;
    const owner = await ownerAt(run, station);
    await deactivateAccount(owner.pds, owner.accessJwt);
    const after = await look();
    if (!after.activated) return before.activated && after.written;
    throw new ProvisioningError(
      'ACCOUNT_NOT_DEACTIVATED',
      'The PDS that you were moving to does not deactivate your account there. Its operator must look at its log.',
      { retryable: true },
    );
  } catch (error) {
    if (!isOfThePds(error) || !(await hasLasted(run, change, 'stuck_since', FROZEN_MS))) throw error;
    goWithout(run, error);
    return false;
  }
}
