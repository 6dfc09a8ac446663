import { createHash } from 'node:crypto';

/**
 * The Merkle tree hash of a list, RFC 6962 section 2.1 with SHA-256: leaves and nodes are told apart by a first byte,
 * so that no node can pass for a leaf.
 */
export function merkleRoot(leaves: Iterable<Uint8Array>): Uint8Array {
  return treeHash(hashLeaves(leaves));
}

/** What stands for a leaf in the tree. */
export function hashLeaf(leaf: Uint8Array): Uint8Array {
  return sha256(LEAF, leaf);
}

function* hashLeaves(leaves: Iterable<Uint8Array>): Iterable<Uint8Array> {
  for (const leaf of leaves) yield hashLeaf(leaf);
}

/**
 * The same of hashes: of leaves, or of subtrees that all have the same number of leaves, a power of two (the last may
 * have fewer). Keeps one hash per level.
 */
export function treeHash(hashes: Iterable<Uint8Array>): Uint8Array {
  // Complete subtrees, each at most as large as the one before it.
  const subtrees: { size: number; hash: Uint8Array }[] = [];
  for (const each of hashes) {
    let size = 1;
    let hash = each;
    for (let last = subtrees.at(-1); last?.size === size; last = subtrees.at(-1)) {
      subtrees.pop();
      hash = hashNode(last.hash, hash);
      size *= 2;
    }
    subtrees.push({ size, hash });
  }
  const last = subtrees.pop();
  if (!last) return sha256();
  return subtrees.reduceRight((right, left) => hashNode(left.hash, right), last.hash);
}

/**
 * What it takes to come from the hash at `index` to the root, from below: RFC 6962 section 2.1.1. Of subtrees as in
 * {@link treeHash} it is the rest of the way, after the path within the subtree.
 */
export function auditPath(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length <= 1) return [];
  const middle = 2 ** Math.floor(Math.log2(hashes.length - 1));
  const [left, right] = [hashes.slice(0, middle), hashes.slice(middle)];
  return index < middle
    ? [...auditPath(left, index), treeHash(right)]
    : [...auditPath(right, index - middle), treeHash(left)];
}

/** The root to which a path leads from the leaf at `index` of `size`: RFC 9162 section 2.1.3.2. Undefined: nowhere. */
export function rootByPath(
  leaf: Uint8Array,
  { index, size, path }: { index: number; size: number; path: readonly Uint8Array[] },
): Uint8Array | undefined {
  if (index >= size) return undefined;
  let [place, last] = [index, size - 1];
  let hash = hashLeaf(leaf);
  for (const other of path) {
    if (last === 0) return undefined;
    if (place % 2 === 1 || place === last) {
      hash = hashNode(other, hash);
      for (; place % 2 === 0 && place !== 0; place /= 2) last = Math.floor(last / 2);
    } else {
      hash = hashNode(hash, other);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hash : undefined;
}

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right);
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
