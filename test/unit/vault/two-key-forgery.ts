import { createCipheriv } from 'node:crypto';

/**
 * A ciphertext of two blocks, without associated data, whose tag is right under both keys: what key commitment
 * is there to stop (Dodis, Grubbs, Ristenpart, Woodage, "Fast Message Franking", CRYPTO 2018, section 3).
 *
 * GHASH is linear in the ciphertext. With the subkeys H1, H2, the length block L and the encrypted first
 * counters E1, E2, the tags C1·H1³ + C2·H1² + L·H1 + E1 and C1·H2³ + C2·H2² + L·H2 + E2 are equal for
 * C2 = (C1·(H1³ + H2³) + L·(H1 + H2) + E1 + E2) / (H1² + H2²). Any C1 does.
 */
export function forgeForTwoKeys(
  key1: Uint8Array,
  key2: Uint8Array,
  iv: Uint8Array,
): { ciphertext: Uint8Array; tag: Uint8Array } {
  const [h1, h2] = [subkey(key1), subkey(key2)];
  const [e1, e2] = [firstMask(h1, key1, iv), firstMask(h2, key2, iv)];
  const lengths = block(0n, 256n);
  const c1 = toField(Buffer.alloc(16, 0x42));
  const power = (h: bigint, n: number): bigint => (n === 1 ? h : multiply(h, power(h, n - 1)));

  const numerator = multiply(c1, power(h1, 3) ^ power(h2, 3)) ^ multiply(lengths, h1 ^ h2) ^ e1 ^ e2;
  const c2 = multiply(numerator, inverse(power(h1, 2) ^ power(h2, 2)));
  const tag = multiply(c1, power(h1, 3)) ^ multiply(c2, power(h1, 2)) ^ multiply(lengths, h1) ^ e1;
  return { ciphertext: Buffer.concat([toBytes(c1), toBytes(c2)]), tag: toBytes(tag) };
}

/** GHASH's key: the zero block, encrypted. */
function subkey(key: Uint8Array): bigint {
  return toField(encryptBlock(key, Buffer.alloc(16)));
}

/** What masks the tag: the first counter block, which for a 128-bit IV is GHASH(IV), encrypted. */
function firstMask(h: bigint, key: Uint8Array, iv: Uint8Array): bigint {
  const counter = multiply(multiply(toField(iv), h) ^ block(0n, 128n), h);
  return toField(encryptBlock(key, toBytes(counter)));
}

function encryptBlock(key: Uint8Array, input: Uint8Array): Buffer {
  return createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(input);
}

function block(high: bigint, low: bigint): bigint {
  return (high << 64n) | low;
}

function toField(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(element: bigint): Buffer {
  return Buffer.from(element.toString(16).padStart(32, '0'), 'hex');
}

/** Product in GF(2^128) with GCM's order of bits (NIST SP 800-38D, 6.3). */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n;
  let shifted = y;
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if ((x >> bit) & 1n) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ (0xe1n << 120n) : shifted >> 1n;
  }
  return product;
}

/** x^(2^128 - 2): the product of x^(2^i) for i = 1…127. */
function inverse(x: bigint): bigint {
  let square = multiply(x, x);
  let result = square;
  for (let i = 2; i < 128; i += 1) {
    square = multiply(square, square);
    result = multiply(result, square);
  }
  return result;
}
