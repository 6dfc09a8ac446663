import { createHash } from 'node:crypto';

/**
 * The Merkle tree hash of a list, RFC 6962 section 2.1 with SHA-256: leaves and nodes are told apart by a first byte,
 * so that no node can pass for a leaf. Keeps one hash per level.
 */
export function merkleRoot(leaves: Iterable<Uint8Array>): Uint8Array {
  // Complete subtrees, each at most as large as the one before it.
  const subtrees: { size: number; hash: Uint8Array }[] = [];
  for (const leaf of leaves) {
    let size = 1;
    let hash = sha256(LEAF, leaf);
    for (let last = subtrees.at(-1); last?.size === size; last = subtrees.at(-1)) {
      subtrees.pop();
      hash = sha256(NODE, last.hash, hash);
      size *= 2;
    }
    subtrees.push({ size, hash });
  }
  const last = subtrees.pop();
  if (!last) return sha256();
  return subtrees.reduceRight((right, left) => sha256(NODE, left.hash, right), last.hash);
}

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
