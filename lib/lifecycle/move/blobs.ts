import * as z from 'zod/mini';
import { listMissingBlobs } from '../../pds/client/migration.ts';
import { transfer } from '../../pds/repo-transfer.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { advance } from '../changes/advance.ts';
import { type Move, ownerAt } from './stations.ts';
import { overOrBroken } from './transfer-limits.ts';

const PAGE = 500;
const MOST_BLOB_BYTES = 1024 ** 3;
const MOST_BLOB_MS = 120_000;
/** Of more than these a list in a database row is no place, and something else is wrong. */
const MOST_LOST = 1000;
const GET_BLOB = 'com.atproto.sync.getBlob';
const uploaded = z.object({ blob: z.object({ ref: z.object({ $link: z.string() }) }) });

/**
 * Carries over what the new PDS says is missing, one by one and each as a stream, until nothing is that there is. A blob
 * that the old PDS does not have (any more), or has in another form than its name says, nobody can carry: it is written
 * down as lost, and the move goes on.
 */
export async function carryBlobs(move: Move): Promise<void> {
  if ((await carryMissing(move)) === 0) return;
  if ((await carryMissing(move)) === 0) return;
  throw new ProvisioningError(
    'MOVE_BLOBS_NOT_KEPT',
    'The PDS that you are moving to does not keep the blobs that it was given. Choose another one, or ask its operator.',
    { retryable: true },
  );
}

/** One pass over the list; how many were carried. */
async function carryMissing(move: Move): Promise<number> {
  const seen = new Set<string>();
  let carried = 0;
  let cursor: string | undefined;
  do {
    const page = await listMissingBlobs(await ownerAt(move.run, move.target), { limit: PAGE, cursor });
    const missing = page.cids.filter((cid) => !seen.has(cid));
    if (missing.length === 0) break;
    for (const cid of missing) {
      seen.add(cid);
      if (!lostBlobs(move).includes(cid) && (await carryOrGiveUp(move, cid))) carried += 1;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return carried;
}

function lostBlobs({ change }: Move): string[] {
  return Array.isArray(change.progress.blobs_lost) ? change.progress.blobs_lost.map(String) : [];
}

/** True when it is there now; false when it is written down as lost. */
async function carryOrGiveUp(move: Move, cid: string): Promise<boolean> {
  if (await carry(move, cid)) return true;
  const lost = [...lostBlobs(move), cid];
  if (lost.length > MOST_LOST) {
    throw new ProvisioningError(
      'MOVE_BLOBS_LOST',
      'Your present PDS does not have over a thousand of your blobs. Its operator must look into that before you move.',
    );
  }
  await advance(move.run.sql, move.run, move.change, { progress: { blobs_lost: lost } });
  return false;
}

/** True when the new PDS has it under its name. */
async function carry(move: Move, cid: string): Promise<boolean> {
  const { run, change, did, source, target } = move;
  const { times, startedAt, now } = run;
  const here = await ownerAt(run, source);
  const left = startedAt.getTime() + times.change * 1000 - now().getTime();
  // Cut off by the end of this run it would only break off.
  if (left < times.http * 1000) throw new Parked('out_of_time', now());
  const timeoutMs = Math.min(left, MOST_BLOB_MS);
  const there = await ownerAt(run, target, timeoutMs);
  const params = { did, cid };
  try {
    const { blob } = await transfer(
      { pds: here.pds, nsid: GET_BLOB, params, authorization: `Bearer ${here.accessJwt}` },
      {
        pds: there.pds,
        nsid: 'com.atproto.repo.uploadBlob',
        authorization: `Bearer ${there.accessJwt}`,
        answer: uploaded,
      },
      { timeoutMs, mostBytes: MOST_BLOB_BYTES },
    );
    // That it goes on is what patience is measured by (retreat.ts).
    if (change.progress.stuck_since) await advance(run.sql, run, change, { progress: { stuck_since: null } });
    return blob.ref.$link === cid;
  } catch (error) {
    if (isRejection(error) && error.nsid === GET_BLOB) return false;
    if (isRejection(error) && error instanceof XrpcError) throw refused(cid, error);
    return overOrBroken(move, error);
  }
}

function refused(cid: string, cause: XrpcError): ProvisioningError {
  return new ProvisioningError(
    'MOVE_BLOB_REFUSED',
    `The PDS that you are moving to does not take one of your blobs (${cid}): it may be too large for it, or of a kind that it does not like. Choose another one, or ask its operator.`,
    { cause },
  );
}
