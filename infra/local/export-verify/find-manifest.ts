import type { FileHandle } from 'node:fs/promises';
import { canonicalJson } from '../../../lib/audit/canonical.ts';
import { isManifestSigned, type Manifest, manifest } from '../../../lib/lifecycle/export/manifest.ts';
import { BLOCK, TAR_END, tarHeader, tarPadding } from '../../../lib/lifecycle/export/tar.ts';
import { Broken, expectThat } from './broken.ts';

export const MANIFEST = 'manifest.json';
/** Of a million files. */
const LARGEST_MANIFEST = 256 * 1024 * 1024;
const WINDOW = 1024 * BLOCK;
const NAME = Buffer.from(`${MANIFEST}\0`);

/**
 * Finds the last file of an archive, which says what stands where in it, from the end of the archive; and that it bears
 * the signature of the key that it names. Throws Broken. `offset`: of its header.
 */
export async function findManifest(
  file: FileHandle,
): Promise<{ offset: number; size: number; content: Manifest }> {
  const { size: length } = await file.stat();
  const offset = await lastHeader(file, length);
  expectThat(offset !== undefined, MANIFEST, 'it is not there: the file is cut off, or is no export');
  const header = await read(file, offset, BLOCK);
  const size = Number.parseInt(header.toString('latin1', 124, 135), 8);
  const holds =
    Number.isInteger(size) && size <= LARGEST_MANIFEST && header.equals(tarHeader(MANIFEST, size));
  expectThat(holds, MANIFEST, 'its header was changed, or another tar has packed anew what was in it');
  const padding = tarPadding(size);
  const end = offset + BLOCK + size + padding.length + TAR_END.length;
  expectThat(length >= end, MANIFEST, 'the file is cut off in it, or behind it');
  expectThat(length === end, MANIFEST, 'there are bytes behind the end of the archive');
  const rest = await read(file, offset + BLOCK + size, padding.length + TAR_END.length);
  expectThat(
    rest.every((byte) => byte === 0),
    MANIFEST,
    'the bytes behind it were changed',
  );
  const content = parse(await read(file, offset + BLOCK, size));
  return { offset, size, content };
}

function parse(bytes: Buffer): Manifest {
  const { success, data } = manifest.safeParse(parseJson(bytes));
  expectThat(success, MANIFEST, 'it is no manifest of an export');
  expectThat(Buffer.from(canonicalJson(data)).equals(bytes), MANIFEST, 'it was changed: it is not canonical');
  let isSigned = data.signature === null;
  try {
    isSigned ||= isManifestSigned(data);
  } catch {
    throw new Broken(MANIFEST, 'its signature is by a key that is none');
  }
  expectThat(isSigned, MANIFEST, 'its signature does not hold: it, or the signature, was changed');
  return data;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Where the last block that begins like the header of a manifest is. What is in a blob comes before it. */
async function lastHeader(file: FileHandle, length: number): Promise<number | undefined> {
  const least = Math.max(0, length - LARGEST_MANIFEST);
  for (let end = length - (length % BLOCK); end > least; end -= WINDOW) {
    const start = Math.max(0, end - WINDOW);
    const bytes = await read(file, start, end - start);
    for (let at = bytes.length - BLOCK; at >= 0; at -= BLOCK) {
      const isHeader = bytes.subarray(at, at + NAME.length).equals(NAME);
      if (isHeader && bytes.toString('latin1', at + 257, at + 262) === 'ustar') return start + at;
    }
  }
  return undefined;
}

/** Exactly so many bytes, or what there is up to the end. */
export async function read(file: FileHandle, offset: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
