import path from 'node:path';
import { XrpcError } from '../../pds/xrpc-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { addBlob, DISK_LIMIT, type Reading } from './add-blobs.ts';
import { addFile, keep } from './archive.ts';
import { NotACar } from './car.ts';
import { type Repository, readRepository } from './repository.ts';
import { type Entry, readEntries } from './rows.ts';
import { streamRepository } from './source.ts';
import { spool } from './spool.ts';

/** Somebody who writes all the time must not keep his own export from ending. */
const MOST_ROUNDS = 5;

type Taken = Repository & Omit<Entry, 'name'>;

/**
 * Adds the repository, as it is at one moment, behind all blobs that it names: those that came since the list are
 * fetched, and when one of them is gone again the repository is, too, taken anew. What the PDS still does not have then
 * is written down as missing. It is one step: a worker that dies, or has no time left, leaves none of it, and the next
 * one begins it anew.
 */
export async function addRepository(reading: Reading): Promise<void> {
  const { archive, folder } = reading;
  const { run, wanted } = archive;
  const { now, startedAt, times } = run;
  // With half of its turn gone a worker leaves it to the next one, which has all of its time for it.
  if (now().getTime() - startedAt.getTime() > (times.worker * 1000) / 2)
    throw new Parked('out_of_time', now());
  const file = path.join(folder, 'repository');
  const known = new Set((await readEntries(run.sql, wanted)).map(({ name }) => name));
  const has = (cid: string) => known.has(`blobs/${cid}`);
  let taken = await take(reading, file);
  let missing: string[] = [];
  for (let round = 1; ; round += 1) {
    missing = [];
    for (const cid of taken.blobs) {
      if (has(cid)) continue;
      if (await addBlob(reading, cid)) known.add(`blobs/${cid}`);
      else missing.push(cid);
    }
    if (missing.length === 0) break;
    const { rev } = taken;
    taken = await take(reading, file);
    if (
      (taken.rev === rev && [...taken.blobs].every((cid) => has(cid) || missing.includes(cid))) ||
      round === MOST_ROUNDS
    )
      break;
  }
  missing = [...taken.blobs].filter((cid) => !has(cid));
  const { size, sha256, root, rev } = taken;
  await addFile(archive, { name: 'repo.car', size, sha256 }, file);
  Object.assign(wanted.progress, {
    blobs: [...known].filter((name) => name.startsWith('blobs/')).length,
    repository: { root, rev, key: run.identity.atproto_public_key ?? '' },
    ...(missing.length > 0 && { missing_blobs: missing }),
    // What the PDS refused before, it gives out by now.
    left_out: (wanted.progress.left_out ?? []).filter(({ what }) => what !== 'repository'),
  });
  wanted.step = 'repository';
  await keep(archive);
}

async function take({ archive, source }: Reading, file: string): Promise<Taken> {
  await archive.pace();
  const { size, digest } = await spool(streamRepository(source), file, {
    limit: DISK_LIMIT,
    pace: archive.pace,
  });
  try {
    return { ...(await readRepository(file, source.did)), size, sha256: digest.toString('hex') };
  } catch (cause) {
    if (!(cause instanceof NotACar)) throw cause;
    throw new XrpcError({
      nsid: 'com.atproto.sync.getRepo',
      fault: 'malformed',
      detail: cause.message,
      cause,
    });
  }
}
