import type { FileHandle } from 'node:fs/promises';
import { cborToLexRecord, def, mstUtil, parseObjByDef, readCarStream, verifyCommitSig } from '@atproto/repo';
import { CID } from 'multiformats/cid';
import type { Manifest } from '../../../lib/lifecycle/export/manifest.ts';
import { Broken, expectThat } from './broken.ts';
import { read } from './find-manifest.ts';
import { type Place, type Places, pieces } from './verify-files.ts';

const REPOSITORY = 'repo.car';
const RAW = 0x55;

export type RepositoryFigures = { records: number; blobs: number };

/**
 * Verifies the repository with the AT Protocol's own library: every block is its CID's, the commit is this DID's and
 * signed by its `#atproto` key, the tree is whole and in the one form that it may have, every record is there, and so is
 * every blob that a record names. Holds where the blocks are, and one block at a time. Throws Broken.
 */
export async function verifyRepository(
  file: FileHandle,
  places: Places,
  { manifest, signingKey }: { manifest: Manifest; signingKey: string },
): Promise<RepositoryFigures> {
  const place = places.get(REPOSITORY);
  const { repository, did } = manifest;
  if (!repository || !place) return { records: 0, blobs: 0 };
  const { root, blocks } = await index(file, place);
  expectThat(root === repository.root, REPOSITORY, 'it is another one than the manifest says');
  const load = async (cid: string) => {
    const block = blocks.get(cid);
    expectThat(block !== undefined, REPOSITORY, `block ${cid} is missing`);
    return read(file, block.offset, block.size);
  };
  const commit = await orBroken(
    async () => parseObjByDef(await load(root), CID.parse(root) as never, def.commit).obj,
  );
  expectThat(commit.did === did, REPOSITORY, 'it is the repository of somebody else');
  expectThat(commit.rev === repository.rev, REPOSITORY, 'it is of another revision than the manifest says');
  const isSigned = await orBroken(() => verifyCommitSig(commit, signingKey));
  expectThat(isSigned, REPOSITORY, 'its commit is not signed by the #atproto key of the DID document');
  const blobs = new Set<string>();
  let records = 0;
  for await (const cid of recordsOf(load, String(commit.data))) {
    records += 1;
    noteBlobs(await orBroken(async () => cborToLexRecord(await load(cid))), blobs);
  }
  const missing = new Set(manifest.missing_blobs);
  for (const cid of blobs) {
    const isThere = places.has(`blobs/${cid}`) || missing.has(cid);
    expectThat(isThere, `blobs/${cid}`, 'a record names it, and it is missing');
  }
  return { records, blobs: blobs.size };
}

/** Where the block of each CID is, in one reading of the file. */
async function index(file: FileHandle, place: Place) {
  return orBroken(async () => {
    const [first = 0, second = 0] = await read(file, place.offset, 2);
    // A header of one root has 58 bytes: its length one, two if somebody writes it longer.
    let at = first < 0x80 ? 1 + first : 2 + (first & 0x7f) + second * 128;
    const { roots, blocks: stream } = await readCarStream(pieces(file, place));
    const blocks = new Map<string, Place>();
    for await (const { cid, bytes } of stream) {
      const section = cid.bytes.byteLength + bytes.byteLength;
      at += varintBytes(section) + section;
      blocks.set(cid.toString(), {
        offset: place.offset + at - bytes.byteLength,
        size: bytes.byteLength,
      });
    }
    if (roots.length !== 1 || at !== place.size) throw new Error('it is no CAR of one root');
    return { root: String(roots[0]), blocks };
  });
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : 1 + varintBytes(Math.floor(value / 0x80));
}

type Load = (cid: string) => Promise<Uint8Array>;
type Node = { l: unknown; e: { p: number; k: Uint8Array; v: unknown; t: unknown }[] };

/** The CIDs of all records, in the order of their keys. https://atproto.com/specs/repository#mst-structure */
async function* recordsOf(load: Load, root: string): AsyncGenerator<string> {
  let last = '';
  const walk = async function* (cid: string, above: number | undefined): AsyncGenerator<string> {
    const { l, e } = (await orBroken(async () => cborToLexRecord(await load(cid)))) as unknown as Node;
    expectThat(Array.isArray(e), REPOSITORY, `block ${cid} is no node of the tree`);
    const keys: string[] = [];
    for (const { p, k } of e) keys.push((keys.at(-1) ?? '').slice(0, p) + Buffer.from(k).toString('latin1'));
    const [first] = keys;
    const layer = first === undefined ? (above ?? 1) - 1 : await mstUtil.leadingZerosOnHash(first);
    const fits = above === undefined || layer === above - 1;
    expectThat(fits && layer >= 0, REPOSITORY, `the tree has not its one form at ${cid}`);
    if (l) yield* walk(String(l), layer);
    for (const [place, { v, t }] of e.entries()) {
      const key = keys[place] ?? '';
      const isInOrder = key > last && mstUtil.isValidMstKey(key);
      const isHere = (await mstUtil.leadingZerosOnHash(key)) === layer;
      expectThat(isInOrder && isHere, REPOSITORY, `the record ${key} is not at its place in the tree`);
      last = key;
      yield String(v);
      if (t) yield* walk(String(t), layer);
    }
  };
  yield* walk(root, undefined);
}

/** Links to raw bytes are blobs; of the first years are some that are written as text beside their type. */
function noteBlobs(value: unknown, blobs: Set<string>): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  const link = CID.asCID(value);
  if (link) {
    if (link.code === RAW) blobs.add(link.toString());
    return;
  }
  const { cid, mimeType } = value as { cid?: unknown; mimeType?: unknown };
  if (typeof cid === 'string' && typeof mimeType === 'string' && cid.startsWith('bafkrei')) blobs.add(cid);
  for (const item of Object.values(value)) noteBlobs(item, blobs);
}

async function orBroken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw new Broken(REPOSITORY, `it cannot be read: ${(error as Error).message}`);
  }
}
