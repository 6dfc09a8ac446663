import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { type Archive, addFile, keep } from './archive.ts';
import { digestOfBlob } from './car.ts';
import { listBlobs, type Source, streamBlob } from './source.ts';
import { spool } from './spool.ts';

/** Bytes on the disk of the function; it has 4 GB (infra/subsystems/lifecycle-changes.ts). */
export const DISK_LIMIT = 3.5 * 1024 ** 3;

export type Reading = {
  archive: Archive;
  source: Source;
  /** A folder of this run. */
  folder: string;
  /** Between two files: throws Parked when it is somebody else's turn. */
  between: () => Promise<void>;
};

/** As much is sent anew at most when a worker dies. */
const KEPT_EVERY_BYTES = 32 * 1024 * 1024;
const KEPT_EVERY_MS = 10_000;

/**
 * Adds all blobs that the PDS lists, from where an earlier worker came to. What belongs to records that are deleted
 * meanwhile may be gone by now: whether one is missing shows when the repository is there.
 */
export async function addListedBlobs(reading: Reading): Promise<void> {
  const { archive, source, between } = reading;
  const { progress } = archive.wanted;
  const { now } = archive.run;
  let keptAt = { size: archive.size, time: now().getTime() };
  for (;;) {
    await archive.pace();
    const { cids, cursor } = await listBlobs(source, progress.cursor);
    for (const cid of cids) {
      if (await addBlob(reading, cid)) progress.blobs = (progress.blobs ?? 0) + 1;
      progress.cursor = cid;
      const grown = archive.size - keptAt.size > KEPT_EVERY_BYTES;
      if (grown || now().getTime() - keptAt.time > KEPT_EVERY_MS) {
        await keep(archive);
        keptAt = { size: archive.size, time: now().getTime() };
      }
      await between().catch(async (parked) => {
        await keep(archive);
        throw parked;
      });
    }
    if (cids.length === 0 || cursor === undefined) return;
    if (cursor <= (cids.at(-2) ?? ''))
      throw new XrpcError({ nsid: 'com.atproto.sync.listBlobs', fault: 'malformed' });
  }
}

/** False when the PDS does not have it. Throws XrpcError for one that is not what its CID names. */
export async function addBlob({ archive, source, folder }: Reading, cid: string): Promise<boolean> {
  const nsid = 'com.atproto.sync.getBlob';
  const expected = digestOfBlob(cid);
  if (!expected) throw new XrpcError({ nsid, fault: 'malformed', detail: 'a blob by a CID that is none' });
  const file = path.join(folder, 'blob');
  try {
    await archive.pace();
    const { size, digest } = await spool(streamBlob(source, cid), file, {
      limit: DISK_LIMIT,
      pace: archive.pace,
    });
    if (!digest.equals(expected))
      throw new XrpcError({ nsid, fault: 'malformed', detail: 'not the blob of its CID' });
    await addFile(archive, { name: `blobs/${cid}`, size, sha256: digest.toString('hex') }, file);
    return true;
  } catch (error) {
    // @NOTE `@atproto/pds` says InvalidRequest, the lexicon BlobNotFound; of an account, it would have refused the list.
    if (isRejection(error, 'BlobNotFound', 'InvalidRequest')) return false;
    throw error;
  } finally {
    await rm(file, { force: true });
  }
}
