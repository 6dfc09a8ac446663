import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Run } from '../../provisioning/run.ts';
import { archiveKey, tailKey } from './archive-keys.ts';
import { type Entry, type Export, storeProgress } from './rows.ts';
import type { Storage } from './storage.ts';
import { tarHeader, tarPadding } from './tar.ts';

/** S3 takes parts of 5 MiB and more, and 10,000 of them: 80 GB. */
export const PART_BYTES = 8 * 1024 * 1024;

/** What a worker writes an archive with. In memory there is one part, whatever the archive's size. */
export type Archive = {
  run: Run;
  storage: Storage;
  wanted: Export;
  /** Called before every request, by which it keeps the member: see pace.ts. */
  pace: () => Promise<void>;
  buffer: Buffer;
  filled: number;
  parts: string[];
  /** Bytes since its beginning. */
  size: number;
  /** What has come into it since the last that was stored. */
  entries: Entry[];
};

/** The archive as it was last stored, or a new one. Undefined when what was stored is not there any more. */
export async function openArchive(
  deps: Pick<Archive, 'run' | 'storage' | 'pace'>,
  wanted: Export,
): Promise<Archive | undefined> {
  const buffer = Buffer.allocUnsafe(PART_BYTES);
  const archive = {
    ...deps,
    wanted,
    buffer,
    filled: 0,
    parts: [...wanted.parts],
    size: wanted.size,
    entries: [],
  };
  await deps.pace();
  if (wanted.upload_id === null) {
    const { uploadId } = await deps.storage.begin(archiveKey(wanted));
    wanted.upload_id = uploadId;
    await storeProgress(deps.run, wanted);
    return archive;
  }
  if (wanted.tail === null) return archive;
  const tail = await deps.storage.get(tailKey(wanted, wanted.tail));
  if (!tail) return undefined;
  buffer.set(tail);
  archive.filled = tail.byteLength;
  return archive;
}

/** Adds a file that is in memory. */
export async function addText(archive: Archive, name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text, 'utf8');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await append(archive, tarHeader(name, bytes.length));
  await append(archive, bytes);
  await append(archive, tarPadding(bytes.length));
  archive.entries.push({ name, size: bytes.length, sha256 });
}

/** Adds a file that is on the disk of this machine, of which size and SHA-256 are known. */
export async function addFile(archive: Archive, entry: Entry, file: string): Promise<void> {
  await append(archive, tarHeader(entry.name, entry.size));
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }))
    await append(archive, chunk);
  await append(archive, tarPadding(entry.size));
  archive.entries.push(entry);
}

/** Adds bytes as they are; a part that is full leaves. */
export async function append(archive: Archive, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const taken = bytes.subarray(at, at + archive.buffer.length - archive.filled);
    archive.buffer.set(taken, archive.filled);
    archive.filled += taken.length;
    archive.size += taken.length;
    at += taken.length;
    if (archive.filled === archive.buffer.length) await putPart(archive);
  }
}

/** Sends what is in memory as the next part: only the last one may be smaller than the others. */
export async function putPart(archive: Archive): Promise<void> {
  const { storage, parts, buffer, filled } = archive;
  await archive.pace();
  parts.push(await storage.putPart(uploadOf(archive), parts.length + 1, buffer.subarray(0, filled)));
  archive.filled = 0;
}

export function uploadOf({ wanted }: Pick<Archive, 'wanted'>) {
  return { key: archiveKey(wanted), uploadId: wanted.upload_id ?? '' };
}

/**
 * Makes what is in the archive so far safe, together with what `wanted` says by now: the next worker goes on from here.
 * What fills no part waits in an object of its own. Only between two files, so that all of a file is from one worker.
 */
export async function keep(archive: Archive): Promise<void> {
  const { run, storage, wanted } = archive;
  const before = wanted.tail;
  const tail = run.random.uuid();
  await archive.pace();
  await storage.put(tailKey(wanted, tail), archive.buffer.subarray(0, archive.filled));
  Object.assign(wanted, { parts: [...archive.parts], size: archive.size, tail });
  delete wanted.progress.cut_off;
  await storeProgress(run, wanted, archive.entries);
  archive.entries = [];
  if (before !== null) await storage.remove(tailKey(wanted, before));
}
