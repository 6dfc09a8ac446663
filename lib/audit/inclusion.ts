import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { Transaction } from '../db/connect.ts';
import type { rootProof } from './api.ts';
import { auditPath, hashLeaf, rootByPath, treeHash } from './merkle.ts';
import type { SealedRoot } from './root.ts';
import { expectSigned, leafOf } from './signature.ts';
import type { Head, RootStatement } from './statement.ts';

/** That a head of a member's chain is under a signed root. */
export type RootProof = z.output<typeof rootProof>;

/** Heads a block, a power of two: a million members are 1000 blocks of 120 KB, and 32 KB of hashes. */
const BLOCK = 1024;

/** Keeps a root for the members' downloads, in place of the one before. */
export async function storeRoot(
  tx: Transaction,
  { heads, signature, ...statement }: SealedRoot,
  blockSize = BLOCK,
): Promise<void> {
  const { created_at } = statement;
  await tx`
    INSERT INTO audit_roots (created_at, statement, signature)
    VALUES (${created_at}, ${tx.json(statement)}, ${tx.json(signature)})`;
  for (let first = 0; first < heads.length; first += blockSize) {
    const some = heads.slice(first, first + blockSize);
    await tx`
      INSERT INTO audit_root_blocks (sealed_at, block, first_leaf, first_uuid, hash, heads)
      VALUES (${created_at}, ${first / blockSize}, ${first}, ${some[0]?.[0] ?? null}, ${treeHash(some.map(hashHead))},
        ${tx.json(some)})`;
  }
  await tx`DELETE FROM audit_roots WHERE created_at < ${created_at}`;
}

type Row = {
  pnptv_uuid: string;
  statement: RootStatement;
  signature: SealedRoot['signature'];
  block: number;
  first_leaf: number;
  heads: Head[];
  blocks: string[];
};

/**
 * The proof that the chain of whoever is logged in is under the newest root; null when there is none, or his chain
 * began after it. What he reads of his log after this is at least what the root covers. The statement tells him how many
 * members there are, the path nothing about any of them: hashes over uuids that nobody guesses.
 */
export async function findInclusion(me: Me): Promise<RootProof | null> {
  const [found] = await me<Row>`
    SELECT mapping.pnptv_uuid, newest.statement, newest.signature, mine.block, mine.first_leaf, mine.heads, ARRAY(
      SELECT encode(hash, 'hex') FROM audit_root_blocks WHERE sealed_at = newest.created_at ORDER BY block
    ) AS blocks
    FROM user_pds_mapping AS mapping
    CROSS JOIN (SELECT * FROM audit_roots ORDER BY created_at DESC LIMIT 1) AS newest
    CROSS JOIN LATERAL (
      SELECT block, first_leaf, heads FROM audit_root_blocks
      WHERE sealed_at = newest.created_at AND first_uuid <= mapping.pnptv_uuid ORDER BY first_uuid DESC LIMIT 1
    ) AS mine
    WHERE mapping.user_id = me.id`;
  if (!found) return null;
  const { pnptv_uuid, statement, signature, block, first_leaf, heads, blocks } = found;
  const index = heads.findIndex(([uuid]) => uuid === pnptv_uuid);
  const [, seq] = heads[index] ?? [];
  if (seq === undefined) return null;
  const { key: _ours, ...signed } = signature;
  const path = [
    ...auditPath(heads.map(hashHead), index),
    ...auditPath(
      blocks.map((hash) => Buffer.from(hash, 'hex')),
      block,
    ),
  ];
  return {
    statement,
    signature: signed,
    leaf_index: first_leaf + index,
    seq,
    path: path.map((hash) => Buffer.from(hash).toString('hex')),
  };
}

/** Whether this head is under the root, as the proof has it. Throws `ROOT_INVALID` unless the root bears its signature. */
export function isIncluded(head: Head, { statement, signature, leaf_index, path }: RootProof): boolean {
  expectSigned(statement, signature);
  const root = rootByPath(leafOf(head), {
    index: leaf_index,
    size: statement.members,
    path: path.map((hash) => Buffer.from(hash, 'hex')),
  });
  return root !== undefined && Buffer.from(root).toString('hex') === statement.root;
}

function hashHead(head: Head): Uint8Array {
  return hashLeaf(leafOf(head));
}
