import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { digestOfBlob } from '../../../lib/lifecycle/export/car.ts';
import type { Manifest } from '../../../lib/lifecycle/export/manifest.ts';
import { BLOCK, tarHeader, tarPadding } from '../../../lib/lifecycle/export/tar.ts';
import { Broken, expectThat } from './broken.ts';
import { MANIFEST, read } from './find-manifest.ts';

/** Where the content of a file of the archive is. */
export type Place = { offset: number; size: number };
export type Places = ReadonlyMap<string, Place>;

const PIECE = 256 * 1024;

/**
 * Verifies every byte before the manifest: the files that it names stand there in its order, each with its size and
 * SHA-256, blobs under the CIDs that are theirs, and nothing else. Holds one piece of a file at a time. Throws Broken.
 */
export async function verifyFiles(file: FileHandle, manifest: Manifest, end: number): Promise<Places> {
  const places = new Map<string, Place>();
  let offset = 0;
  for (const { name, size, sha256 } of manifest.entries) {
    expectThat(!places.has(name), name, 'the manifest names it twice');
    expectThat(offset + BLOCK + size <= end, name, 'it is cut off');
    const header = await read(file, offset, BLOCK);
    expectThat(header.equals(headerOf(name, size)), name, 'its header was changed, or it is missing');
    const place = { offset: offset + BLOCK, size };
    const digest = await hashOf(file, place);
    expectThat(digest.toString('hex') === sha256, name, 'it is not what the manifest says: it was changed');
    const padding = tarPadding(size);
    const behind = await read(file, place.offset + size, padding.length);
    expectThat(behind.equals(padding), name, 'the bytes behind it were changed');
    const [, cid] = /^blobs\/(.*)$/.exec(name) ?? [];
    if (cid !== undefined)
      expectThat(digestOfBlob(cid)?.equals(digest) === true, name, 'it is not the blob of its CID');
    places.set(name, place);
    offset = place.offset + size + padding.length;
  }
  expectThat(offset === end, MANIFEST, 'before it there is something that it does not name');
  expectNames(places, manifest);
  return places;
}

const ALWAYS = ['README.txt', 'account.json', 'audit-log.json'];

/** Nothing is missing that belongs to an export, and nothing is there that does not. */
function expectNames(places: Places, { did, repository, contents, left_out }: Manifest): void {
  const document = did.startsWith('did:plc:') ? 'plc-log.json' : 'did.json';
  const isLeftOut = (name: string) => left_out.some(({ what }) => what === name);
  const needed = [
    ...ALWAYS,
    document,
    ...(repository || !isLeftOut('repository') ? ['repo.car'] : []),
    ...(isLeftOut('preferences') ? [] : ['preferences.json']),
    ...(contents === 'data_and_keys' ? ['keys.jwe'] : []),
  ];
  for (const name of needed) expectThat(places.has(name), name, 'it is missing');
  const known = new Set([...needed.filter((name) => repository || name !== 'repo.car'), 'preferences.json']);
  for (const name of places.keys())
    expectThat(known.has(name) || name.startsWith('blobs/'), name, 'it does not belong to an export');
}

function headerOf(name: string, size: number): Buffer {
  try {
    return tarHeader(name, size);
  } catch {
    throw new Broken(name, 'no archive can hold it');
  }
}

async function hashOf(file: FileHandle, place: Place): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of pieces(file, place)) hash.update(piece);
  return hash.digest();
}

/** The content of a file, piece by piece. */
export async function* pieces(file: FileHandle, { offset, size }: Place): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += PIECE) yield await read(file, offset + at, Math.min(PIECE, size - at));
}
