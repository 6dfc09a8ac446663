import { type Archive, addText, append, putPart, uploadOf } from './archive.ts';
import { archiveKey, tailKey } from './archive-keys.ts';
import { type Statement, signManifest } from './manifest.ts';
import { addPapers } from './papers.ts';
import { endExport, readEntries, storeProgress } from './rows.ts';
import { findSigner } from './signer.ts';
import type { Source } from './source.ts';
import { TAR_END } from './tar.ts';

/** What was stored of an archive is not there any more, or does not fit the identity any more: it begins anew. */
export class Vanished extends Error {}
/** The keys that the member has asked for are not his keys any more. */
export class KeysReplaced extends Error {}

/**
 * Adds the papers, the keys if they were asked for, and the manifest that names and signs it all; then the archive
 * becomes one object. Until it is stored that all bytes are there, the next worker begins with the papers again.
 */
export async function sealArchive(archive: Archive, source: Source | undefined): Promise<void> {
  const { run, wanted } = archive;
  const { identity, sql, now } = run;
  const { progress } = wanted;
  // Moved meanwhile: the document would name a key that did not sign the repository.
  if (progress.repository && progress.repository.key !== (identity.atproto_public_key ?? ''))
    throw new Vanished();
  const published = await addPapers(archive, source);
  if (wanted.contents === 'data_and_keys') {
    if (wanted.keys_jwe === null || wanted.credential_version !== identity.credential_version)
      throw new KeysReplaced();
    await addText(archive, 'keys.jwe', wanted.keys_jwe);
  }
  const { root, rev } = progress.repository ?? {};
  const statement: Statement = {
    format: 'pds-export/1',
    did: identity.pds_did ?? '',
    handle: identity.pds_handle ?? '',
    created_at: now().toISOString(),
    contents: wanted.contents,
    repository: root !== undefined && rev !== undefined ? { root, rev } : null,
    entries: [...(await readEntries(sql, wanted)), ...archive.entries],
    left_out: progress.left_out ?? [],
    missing_blobs: progress.missing_blobs ?? [],
  };
  await addText(archive, 'manifest.json', signManifest(statement, await findSigner(run, published)));
  await append(archive, TAR_END);
  if (archive.filled > 0) await putPart(archive);
  const { parts, size } = archive;
  Object.assign(wanted, { step: 'sealed', parts, size });
  await storeProgress(run, wanted);
  await completeArchive(archive);
}

/** Makes one object of all parts, and ends the export. A worker that died in between may have done so already. */
export async function completeArchive({
  run,
  storage,
  wanted,
  pace,
}: Pick<Archive, 'run' | 'storage' | 'wanted' | 'pace'>) {
  await pace();
  const done = await storage.complete(uploadOf({ wanted }), wanted.parts);
  if (!done && (await storage.sizeOf(archiveKey(wanted))) !== wanted.size) throw new Vanished();
  if (wanted.tail !== null) await storage.remove(tailKey(wanted, wanted.tail));
  await endExport(run, wanted, { outcome: 'ready' });
}
