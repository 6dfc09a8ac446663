import { type Block, cidText, isCid, NotACar, RAW, readCar, readMap } from './car.ts';
import { Link, type Value } from './dag-cbor.ts';

/** What a repository as a file turns out to be. */
export type Repository = {
  /** The CID of its commit. */
  root: string;
  rev: string;
  /** CIDs of the blobs that its records name. */
  blobs: ReadonlySet<string>;
};

/**
 * Reads a repository once through: every block is its CID's, and all that the commit and the tree of records lead to is
 * there. Holds 32 bytes for each block, never the blocks. https://atproto.com/specs/repository Throws NotACar, also for
 * the repository of somebody else. (Signatures are for who keeps it to check: infra/local/export.)
 */
export async function readRepository(file: string, did: string): Promise<Repository> {
  const { root, blocks } = await readCar(file);
  const rootName = nameOf(root);
  const there = new Set<string>();
  const needed = new Set<string>([rootName]);
  const blobs = new Set<string>();
  let rev: string | undefined;
  const need = (value: Value | undefined) => {
    if (value instanceof Link && !there.has(nameOf(value.bytes))) needed.add(nameOf(value.bytes));
  };
  for await (const block of blocks) {
    const name = nameOf(block.cid);
    there.add(name);
    needed.delete(name);
    const value = readMap(block.bytes);
    if (!value) throw new NotACar('a block holds no map');
    if (name === rootName) {
      if (value.did !== did) throw new NotACar('it is the repository of somebody else');
      if (typeof value.rev === 'string') rev = value.rev;
      need(value.data);
    } else if (isNode(value)) {
      need(value.l);
      for (const entry of value.e) {
        if (typeof entry !== 'object' || entry === null || !('v' in entry))
          throw new NotACar('a broken tree');
        need(entry.v);
        need(entry.t);
      }
    } else noteBlobs(value, blobs);
  }
  if (needed.size > 0 || rev === undefined) throw new NotACar('blocks are missing');
  return { root: cidText(root), rev, blobs };
}

/** The tree's nodes are the only blocks beside the commit that have no `$type`. */
function isNode(value: { [key: string]: Value }): value is { l: Value; e: Value[] } {
  return value.$type === undefined && Array.isArray(value.e) && 'l' in value;
}

/** Blobs are the only raw links; of the first years are some that were written as text beside their type. */
function noteBlobs(value: Value, blobs: Set<string>): void {
  if (value instanceof Link) {
    if (isCid(value.bytes, RAW)) blobs.add(cidText(value.bytes));
  } else if (Array.isArray(value)) {
    for (const item of value) noteBlobs(item, blobs);
  } else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    const { cid, mimeType } = value;
    if (typeof cid === 'string' && typeof mimeType === 'string' && /^bafkrei[a-z2-7]{52}$/.test(cid))
      blobs.add(cid);
    for (const item of Object.values(value)) noteBlobs(item, blobs);
  }
}

function nameOf(cid: Block['cid']): string {
  return Buffer.from(cid.buffer, cid.byteOffset + 4, 32).toString('latin1');
}
