import { getPreferences, type Holdings, putPreferences, readHoldings } from '../../pds/client/migration.ts';
import { transfer } from '../../pds/repo-transfer.ts';
import { isNotOffered } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { advance } from '../changes/advance.ts';
import { carryBlobs } from './blobs.ts';
import { stepDone } from './progress.ts';
import { type Move, ownerAt } from './stations.ts';
import { overOrBroken, timeLeft } from './transfer-limits.ts';

const GET_REPO = 'com.atproto.sync.getRepo';
const MOST_REPO_BYTES = 2 * 1024 ** 3;

/** account_created → repo_imported: most of it, while the member can still write. */
export async function importRepo(move: Move): Promise<void> {
  await carryRepo(move);
  await stepDone(move.run, move.change, 'repo_imported');
}

/** repo_imported → blobs_complete. */
export async function importBlobs(move: Move): Promise<void> {
  await carryBlobs(move);
  await stepDone(move.run, move.change, 'blobs_complete');
}

/**
 * frozen → carried_over: what was written since the repository was imported is carried over, too, and the preferences;
 * then the new PDS has what the old one has, to the commit, and no blob is missing that there is.
 */
export async function carryOver(move: Move): Promise<void> {
  const { run, change } = move;
  await carryRepo(move);
  await carryBlobs(move);
  const preferences = await carryPreferences(move);
  const [there, here] = await bothHoldings(move);
  if (!sameRepo(there, here)) {
    throw new ProvisioningError(
      'MOVE_REPO_DIFFERS',
      'The PDS that you are moving to does not show what it was given of your repository. Try again later, or choose another one.',
      { retryable: true },
    );
  }
  await stepDone(run, change, 'carried_over', {
    preferences,
    repo_commit: here.repoCommit,
    records: here.indexedRecords,
  });
}

/** Of the new PDS, and of the old one. */
export async function bothHoldings(move: Move): Promise<[Holdings, Holdings]> {
  const there = await readHoldings(await ownerAt(move.run, move.target));
  return [there, await readHoldings(await ownerAt(move.run, move.source))];
}

export function sameRepo(one: Holdings, other: Holdings): boolean {
  return one.repoCommit === other.repoCommit && one.indexedRecords === other.indexedRecords;
}

/**
 * The whole repository, as a stream; what the new PDS has of it already it takes for known. That it is about to leave is
 * stored before: should nobody see how that ended, an old one may still be on its way (see freeze.ts).
 */
async function carryRepo(move: Move): Promise<void> {
  const { run, change, did, source, target } = move;
  if (sameRepo(...(await bothHoldings(move)))) return;
  const here = await ownerAt(run, source);
  const timeoutMs = timeLeft(run);
  const there = await ownerAt(run, target, timeoutMs);
  await advance(run.sql, run, change, { progress: { import_started_at: run.now().toISOString() } });
  await transfer(
    { pds: here.pds, nsid: GET_REPO, params: { did }, authorization: `Bearer ${here.accessJwt}` },
    {
      pds: there.pds,
      nsid: 'com.atproto.repo.importRepo',
      authorization: `Bearer ${there.accessJwt}`,
      contentType: 'application/vnd.ipld.car',
    },
    { timeoutMs, mostBytes: MOST_REPO_BYTES },
  ).catch((error) => overOrBroken(move, error));
  await advance(run.sql, run, change, { progress: { import_started_at: null } });
}

/** Apps' preferences. A PDS that keeps none has none to give, or takes none: apps begin anew with theirs. */
async function carryPreferences(move: Move): Promise<'none' | 'carried' | 'not_taken'> {
  const here = await ownerAt(move.run, move.source);
  const preferences = await orNone(getPreferences(here));
  if (preferences === undefined || preferences.length === 0) return 'none';
  const there = await ownerAt(move.run, move.target);
  const taken = await orNone(putPreferences(there, preferences).then(() => true));
  return taken ? 'carried' : 'not_taken';
}

async function orNone<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error) => {
    if (isNotOffered(error)) return undefined;
    throw error;
  });
}
