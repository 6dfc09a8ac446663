/** A link of DAG-CBOR: the bytes of the CID, without the 0 before them. */
export class Link {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
export type Value = null | boolean | number | string | Uint8Array | Link | Value[] | { [key: string]: Value };

/** Thrown for bytes that are no DAG-CBOR. */
export class NotDagCbor extends Error {}

type Reader = { bytes: Uint8Array; at: number };

const LINK_TAG = 42;
/** Deeper than this nothing on the network is, and a stack has its end. */
const DEEPEST = 256;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads one value, which has to be all there is. https://ipld.io/specs/codecs/dag-cbor/spec/ Throws NotDagCbor. */
export function readDagCbor(bytes: Uint8Array): Value {
  const reader = { bytes, at: 0 };
  try {
    const value = readValue(reader, 0);
    if (reader.at !== bytes.length) throw new NotDagCbor('bytes behind the value');
    return value;
  } catch (cause) {
    throw cause instanceof NotDagCbor ? cause : new NotDagCbor('no value', { cause });
  }
}

function readValue(reader: Reader, depth: number): Value {
  if (depth > DEEPEST) throw new NotDagCbor('too deep');
  const head = take(reader, 1)[0] ?? 0;
  const major = head >> 5;
  if (major === 7) return readSimple(reader, head & 31);
  const count = readCount(reader, head & 31);
  if (major === 0) return count;
  if (major === 1) return -1 - count;
  if (major === 2) return take(reader, count);
  if (major === 3) return utf8.decode(take(reader, count));
  if (major === 4) return Array.from({ length: bounded(reader, count) }, () => readValue(reader, depth + 1));
  if (major === 5) {
    const pairs = Array.from({ length: bounded(reader, count) }, () => [
      readValue(reader, depth + 1),
      readValue(reader, depth + 1),
    ]);
    if (pairs.some(([key]) => typeof key !== 'string')) throw new NotDagCbor('a key that is no text');
    return Object.fromEntries(pairs) as { [key: string]: Value };
  }
  const link = count === LINK_TAG ? readValue(reader, depth + 1) : undefined;
  if (!(link instanceof Uint8Array) || link[0] !== 0) throw new NotDagCbor('a tag that is no link');
  return new Link(link.subarray(1));
}

function readSimple(reader: Reader, info: number): Value {
  if (info === 20 || info === 21) return info === 21;
  if (info === 22) return null;
  if (info !== 27) throw new NotDagCbor('a simple value that there is not');
  const bytes = take(reader, 8);
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
}

function readCount(reader: Reader, info: number): number {
  if (info < 24) return info;
  if (info > 27) throw new NotDagCbor('a length that is not said');
  let count = 0;
  for (const byte of take(reader, 2 ** (info - 24))) count = count * 256 + byte;
  return count;
}

/** Every item has a byte at least: nobody makes us reserve room for more. */
function bounded({ bytes, at }: Reader, count: number): number {
  if (count > bytes.length - at) throw new NotDagCbor('cut off');
  return count;
}

function take(reader: Reader, count: number): Uint8Array {
  const end = reader.at + count;
  if (end > reader.bytes.length) throw new NotDagCbor('cut off');
  const taken = reader.bytes.subarray(reader.at, end);
  reader.at = end;
  return taken;
}
