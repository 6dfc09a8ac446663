import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { base32 } from 'multiformats/bases/base32';
import { Link, NotDagCbor, readDagCbor, type Value } from './dag-cbor.ts';

/** Thrown for a file that is no CAR, or was cut off. */
export class NotACar extends Error {}

export type Block = { cid: Uint8Array; bytes: Uint8Array };

/** CIDv1, SHA-256 of 32 bytes, of DAG-CBOR or of anything: https://atproto.com/specs/data-model#link-and-cid-formats */
export const DAG_CBOR = [0x01, 0x71, 0x12, 0x20];
export const RAW = [0x01, 0x55, 0x12, 0x20];
const CID_BYTES = 36;
/** A record has 1 MiB at most, and a node of the tree a few KB. */
const LONGEST_BLOCK = 8 * 1024 * 1024;

/**
 * The root of a CAR file and its blocks, in order and one at a time, each of them the one that its CID names.
 * https://ipld.io/specs/transport/car/carv1/ Throws NotACar.
 */
export async function readCar(
  file: string,
): Promise<{ root: Uint8Array; blocks: AsyncGenerator<Block, void, undefined> }> {
  const sections = readSections(file);
  const { value: head } = await sections.next();
  const root = head && rootOf(head);
  if (!root) throw new NotACar('it does not begin as a CAR');
  return { root, blocks: blocksOf(sections) };
}

async function* blocksOf(sections: AsyncGenerator<Uint8Array>): AsyncGenerator<Block, void, undefined> {
  for await (const section of sections) {
    const cid = section.subarray(0, CID_BYTES);
    const bytes = section.subarray(CID_BYTES);
    const digest = createHash('sha256').update(bytes).digest();
    if (!isCid(cid, DAG_CBOR) || digest.compare(cid, 4) !== 0) throw new NotACar('a block is not its CID’s');
    yield { cid, bytes };
  }
}

function rootOf(head: Uint8Array): Uint8Array | undefined {
  const { version, roots } = readMap(head) ?? {};
  const [root] = version === 1 && Array.isArray(roots) && roots.length === 1 ? roots : [];
  return root instanceof Link && isCid(root.bytes, DAG_CBOR) ? root.bytes : undefined;
}

/** The map that a block holds; undefined when it holds something else. */
export function readMap(bytes: Uint8Array): { [key: string]: Value } | undefined {
  try {
    const value = readDagCbor(bytes);
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isMap && !(value instanceof Uint8Array) && !(value instanceof Link) ? value : undefined;
  } catch (error) {
    if (error instanceof NotDagCbor) return undefined;
    throw error;
  }
}

export function isCid(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return bytes.length === CID_BYTES && prefix.every((byte, index) => bytes[index] === byte);
}

/** As it is written: `b…`. */
export function cidText(bytes: Uint8Array): string {
  return base32.encode(bytes);
}

/** The digest that the CID of a blob names; undefined for anything that is no CID of a blob. */
export function digestOfBlob(cid: string): Buffer | undefined {
  if (!/^bafkrei[a-z2-7]{52}$/.test(cid)) return undefined;
  const bytes = base32.decode(cid);
  return isCid(bytes, RAW) && base32.encode(bytes) === cid ? Buffer.from(bytes.subarray(4)) : undefined;
}

/** What stands behind each length (unsigned LEB128) in the file. */
async function* readSections(file: string): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const section = sectionAt(rest, at);
      if (!section) break;
      yield rest.subarray(section.start, section.end);
      at = section.end;
    }
    rest = rest.subarray(at);
  }
  if (rest.length > 0) throw new NotACar('it is cut off');
}

function sectionAt(bytes: Buffer, at: number): { start: number; end: number } | undefined {
  let length = 0;
  for (let index = 0; index < 4; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      if (length > LONGEST_BLOCK || length === 0) throw new NotACar('a block has an impossible length');
      const start = at + index + 1;
      return start + length <= bytes.length ? { start, end: start + length } : undefined;
    }
  }
  throw new NotACar('a block is too long');
}
