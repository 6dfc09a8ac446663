/** What operations of did:plc are made of: no numbers, no links, no bytes. */
export type CborValue = string | null | readonly CborValue[] | { readonly [key: string]: CborValue };

/** Major types of RFC 8949 §3.1, in the upper three bits of a head. */
const TEXT = 0x60;
const ARRAY = 0x80;
const MAP = 0xa0;
const NULL = 0xf6;

/**
 * The one encoding that DAG-CBOR allows of a value: lengths as short as can be, the keys of a map by length, then by
 * byte. https://ipld.io/specs/codecs/dag-cbor/spec/#strictness
 */
export function encodeDagCbor(value: CborValue): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  write(value, parts);
  return Uint8Array.from(Buffer.concat(parts));
}

function write(value: CborValue, parts: Uint8Array[]): void {
  if (value === null) {
    parts.push(Uint8Array.of(NULL));
  } else if (typeof value === 'string') {
    const text = Buffer.from(value, 'utf8');
    parts.push(head(TEXT, text.length), text);
  } else if (isArray(value)) {
    parts.push(head(ARRAY, value.length));
    for (const item of value) write(item, parts);
  } else {
    const entries = Object.entries(value).map(([key, inner]) => [Buffer.from(key, 'utf8'), inner] as const);
    entries.sort(([a], [b]) => a.length - b.length || Buffer.compare(a, b));
    parts.push(head(MAP, entries.length));
    for (const [key, inner] of entries) {
      parts.push(head(TEXT, key.length), key);
      write(inner, parts);
    }
  }
}

function head(major: number, size: number): Uint8Array {
  if (size < 24) return Uint8Array.of(major | size);
  if (size < 0x100) return Uint8Array.of(major | 24, size);
  if (size < 0x1_0000) return Uint8Array.of(major | 25, size >> 8, size & 0xff);
  // The longest operation has 7,500 bytes.
  throw new RangeError('a value of an operation is far too long');
}

function isArray(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value);
}
