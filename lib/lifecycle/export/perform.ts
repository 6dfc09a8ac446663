import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { AppError } from '../../app-error.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { finish } from '../../provisioning/work.ts';
import { addListedBlobs } from './add-blobs.ts';
import { addRepository } from './add-repository.ts';
import { type Archive, addText, keep, openArchive } from './archive.ts';
import { archiveKey, tailKey } from './archive-keys.ts';
import { failureOf, isTooSlow } from './failure.ts';
import { completeArchive, sealArchive, Vanished } from './finish.ts';
import { openFolder } from './folder.ts';
import { keepPace } from './pace.ts';
import { leaveOut } from './papers.ts';
import { readmeText } from './readme-text.ts';
import { type Export, endExport, forgetProgress, readOpenExport } from './rows.ts';
import { openSource, type Source } from './source.ts';
import { TooLarge } from './spool.ts';
import type { Storage } from './storage.ts';

/** A storage that keeps nothing, or lets us read nothing, is no reason to go on for ever. */
const MOST_ANEW = 3;
const HOUR = 3600_000;
/** So long a PDS is waited for: of an identity that is not in use any more it may be gone for good. */
const PATIENCE_MS = { in_use: 72 * HOUR, not_in_use: HOUR };

/**
 * Makes the archive that a member has asked for, from wherever an earlier worker left it. It waits for a PDS that is
 * down, for three days while the identity is in use; what the PDS does not give out then, or refuses, is left out, and said.
 */
export function exporting(storage: Storage): (run: Run) => Promise<void> {
  return async (run) => {
    const wanted = await readOpenExport(run.sql, run.identity.user_id);
    if (!wanted) return finish(run);
    const folder = await openFolder(tmpdir(), run.now());
    const begun = structuredClone(wanted);
    try {
      await goOn(run, { wanted, storage, folder });
    } catch (error) {
      if (error instanceof Vanished) return await beginAnew(run, storage, wanted);
      const failure = failureOf((await isTooSlow(run, { begun, wanted, error })) ? new TooLarge() : error);
      if (!failure) throw error;
      await drop(storage, wanted);
      await endExport(run, wanted, { outcome: 'failed', ...failure });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

type Work = { wanted: Export; storage: Storage; folder: string };

async function goOn(run: Run, { wanted, storage, folder }: Work): Promise<void> {
  const { pace, between } = keepPace(run);
  if (wanted.step === 'sealed') return completeArchive({ run, storage, wanted, pace });
  const archive = await openArchive({ run, storage, pace }, wanted);
  if (!archive) throw new Vanished();
  const source = await reach(archive);
  const reading = source && { archive, source, folder, between };
  if (wanted.step === 'requested') {
    if (archive.size === 0) await addText(archive, 'README.txt', readmeText(factsOf(run, wanted)));
    if (reading) await orLeaveOut(archive, () => addListedBlobs(reading));
    wanted.step = 'blobs';
    await keep(archive);
  }
  if (wanted.step === 'blobs') {
    if (reading) await orLeaveOut(archive, () => addRepository(reading));
    wanted.step = 'repository';
  }
  await between();
  await sealArchive(archive, source);
}

function factsOf({ identity }: Run, { contents }: Export) {
  return { did: identity.pds_did ?? '', handle: identity.pds_handle ?? '', contents };
}

const REPOSITORY = 'repository';

/** The account, if it can be asked. What does not answer is not waited for for ever. */
async function reach(archive: Archive): Promise<Source | undefined> {
  const { run, wanted } = archive;
  if (wanted.step === 'repository' && !wanted.progress.repository) return undefined;
  const { left_at, provider_id, pds_endpoint } = run.identity;
  if (left_at !== null || provider_id === null) {
    leaveOut(archive, REPOSITORY, `You have left: your repository is at your own PDS, ${pds_endpoint}.`);
    return undefined;
  }
  try {
    run.host = await openAccountHost(run);
    return await openSource(run, run.host);
  } catch (error) {
    const away = error instanceof XrpcError ? error.providerDown : error instanceof Parked;
    const waited = run.now().getTime() - wanted.created_at.getTime();
    const patience = PATIENCE_MS[run.identity.status === 'active' ? 'in_use' : 'not_in_use'];
    if (!away || waited < patience) throw error;
    if (!wanted.progress.repository)
      leaveOut(archive, REPOSITORY, 'The PDS of your account did not answer, however long we waited.');
    return undefined;
  }
}

/** Who has no account there any more, or none that is open to him, still gets the rest. */
async function orLeaveOut(archive: Archive, add: () => Promise<void>): Promise<void> {
  try {
    await add();
  } catch (error) {
    if (!isRejection(error)) throw error;
    const said = [error.error, error.detail].filter((part) => part !== undefined).join(': ');
    leaveOut(archive, REPOSITORY, `Your PDS refuses to give it out (${said}).`);
  }
}

async function beginAnew(run: Run, storage: Storage, wanted: Export): Promise<void> {
  run.log.warn('the upload of an export is gone: it begins anew', { export_id: wanted.id });
  await drop(storage, wanted);
  const times = await forgetProgress(run, wanted);
  if (times <= MOST_ANEW) throw new Parked('out_of_time', run.now());
  throw new AppError('STORAGE_UNAVAILABLE', 'The storage of exports loses what is put there.', {
    retryable: true,
  });
}

/** Nobody goes on with what there is of it. */
async function drop(storage: Storage, wanted: Export): Promise<void> {
  if (wanted.upload_id !== null) await storage.abort({ key: archiveKey(wanted), uploadId: wanted.upload_id });
  if (wanted.tail !== null) await storage.remove(tailKey(wanted, wanted.tail));
}
