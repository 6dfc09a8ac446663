import { describe, expect, it } from 'vitest';
import { auditPath, hashLeaf, merkleRoot, rootByPath, treeHash } from '../../../lib/audit/merkle.ts';

/** The leaves and roots of the reference implementation's tests (google/certificate-transparency, merkle_tree_test.cc). */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('merkleRoot', () => {
  it.each(ROOTS.map((root, size) => [size, root] as const))(
    'of %i leaves is that of RFC 6962',
    (size, root) => {
      const leaves = LEAVES.slice(0, size).map((leaf) => Buffer.from(leaf, 'hex'));
      expect(Buffer.from(merkleRoot(leaves)).toString('hex')).toBe(root);
    },
  );
});

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const leavesOf = (size: number) => Array.from({ length: size }, (_, n) => Buffer.from(`leaf ${n}`));

describe('an audit path', () => {
  it('is that of RFC 6962', () => {
    const hashes = LEAVES.map((leaf) => hashLeaf(Buffer.from(leaf, 'hex')));
    expect(auditPath(hashes, 0).map(hex)).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(auditPath(hashes.slice(0, 1), 0)).toEqual([]);
  });

  it('leads from every leaf of every tree to its root, also by way of blocks, and from no other leaf', () => {
    for (let size = 1; size <= 40; size += 1) {
      const leaves = leavesOf(size);
      const hashes = leaves.map(hashLeaf);
      const root = hex(merkleRoot(leaves));
      const blocks = Array.from({ length: Math.ceil(size / 4) }, (_, n) => hashes.slice(4 * n, 4 * n + 4));
      expect(hex(treeHash(blocks.map(treeHash)))).toBe(root);
      leaves.forEach((leaf, index) => {
        const path = auditPath(hashes, index);
        expect(hex(rootByPath(leaf, { index, size, path }))).toBe(root);
        const block = Math.floor(index / 4);
        const inBlock = auditPath(blocks[block] ?? [], index % 4);
        expect([...inBlock, ...auditPath(blocks.map(treeHash), block)].map(hex)).toEqual(path.map(hex));

        expect(hex(rootByPath(Buffer.from('other'), { index, size, path }))).not.toBe(root);
        for (let other = 0; other <= size; other += 1)
          if (other !== index) expect(hex(rootByPath(leaf, { index: other, size, path }))).not.toBe(root);
        for (const wrong of [path.slice(1), path.slice(0, -1), [...path, hashLeaf(leaf)]])
          if (wrong.length !== path.length)
            expect(rootByPath(leaf, { index, size, path: wrong })).toBeUndefined();
      });
    }
  });
});
