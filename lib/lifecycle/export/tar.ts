/** A tar archive is made of blocks of so many bytes: POSIX.1-1988, "ustar", as every tar reads it. */
export const BLOCK = 512;
/** Two empty blocks end it. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

const NAME_BYTES = 100;
/** Eleven octal digits. */
const LARGEST = 8 ** 11 - 1;

/**
 * The header of a file in a tar archive: `name` has at most 100 bytes, `size` is in bytes. There is one header for a name
 * and a size, so a reader finds out whether any bit of it was changed. Nothing in it tells times or owners.
 */
export function tarHeader(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) > NAME_BYTES || size > LARGEST) throw new RangeError(`tar cannot hold ${name}`);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** What fills up the last block of a file of this size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
