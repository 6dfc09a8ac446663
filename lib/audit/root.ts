import { createPublicKey, verify } from 'node:crypto';
import * as z from 'zod/mini';
import { AppError } from '../app-error.ts';
import type { Queryable } from '../db/connect.ts';
import { canonicalJson } from './canonical.ts';
import { merkleRoot } from './merkle.ts';
import type { BrokenEntry } from './verify-log.ts';

/** The end of a member's chain: his pnptv_uuid, how many entries it has, the hash of the last in hex. */
export type Head = [pnptvUuid: string, seq: number, rowHash: string];

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 32 bytes in hex'));
/** All heads at one time, under one signed hash. About 120 bytes a member. */
const sealedRoot = z.strictObject({
  format: z.literal('pds-audit-root/1'),
  environment: z.string(),
  created_at: z.iso.datetime(),
  members: z.int(),
  entries: z.int(),
  /** Merkle tree hash over the heads, sorted by pnptv_uuid. */
  root: hash,
  /** What is signed is the RFC 8785 form of all members above. */
  signature: z.strictObject({
    key: z.string(),
    /** DER, SubjectPublicKeyInfo, in base64. */
    public_key: z.base64(),
    algorithm: z.literal('ECDSA_SHA_256'),
    /** DER, in base64. */
    value: z.base64(),
  }),
  heads: z.array(z.tuple([z.uuid(), z.int(), hash])),
});
export type SealedRoot = z.output<typeof sealedRoot>;
type Statement = Omit<SealedRoot, 'heads' | 'signature'>;

/** Signs with a key that whoever owns the database does not hold. ECDSA over NIST P-256 with SHA-256. */
export type Signer = (message: Uint8Array) => Promise<SealedRoot['signature']>;

/** The heads of all chains in one consistent read, sorted by pnptv_uuid. */
async function readHeads(sql: Queryable): Promise<Head[]> {
  const rows = await sql<{ pnptv_uuid: string; seq: number; row_hash: string }[]>`
    SELECT DISTINCT ON (pnptv_uuid) pnptv_uuid, seq, encode(row_hash, 'hex') AS row_hash
    FROM pds_provisioning_log ORDER BY pnptv_uuid, seq DESC`;
  return rows.map(({ pnptv_uuid, seq, row_hash }) => [pnptv_uuid, seq, row_hash]);
}

/** Reads all heads and seals them under one signed root. */
export async function sealRoot(
  { sql, sign, now }: { sql: Queryable; sign: Signer; now: () => Date },
  environment: string,
): Promise<SealedRoot> {
  const heads = await readHeads(sql);
  const statement: Statement = {
    format: 'pds-audit-root/1',
    environment,
    created_at: now().toISOString(),
    members: heads.length,
    entries: countEntries(heads),
    root: rootOf(heads),
  };
  return { ...statement, signature: await sign(messageOf(statement)), heads };
}

/**
 * A sealed root from its JSON. Throws `ROOT_INVALID` unless its signature, its root and its counts hold. Whose key
 * signed it is for the reader to decide: whoever forges a root can sign it, with a key of his own.
 */
export function openRoot(content: unknown): SealedRoot {
  const { success, data } = sealedRoot.safeParse(content);
  if (!success) throw invalid('is none');
  const { heads, signature, ...statement } = data;
  if (!isSigned(messageOf(statement), signature)) throw invalid('does not bear the signature of its key');
  if (statement.root !== rootOf(heads)) throw invalid('has heads that are not those which were signed');
  if (statement.members !== heads.length || statement.entries !== countEntries(heads))
    throw invalid('counts its heads wrongly');
  return data;
}

/**
 * The first head of then whose row is gone or has another hash now; null when all are still in their chains. Together
 * with a log that verifies it proves that nothing up to then was changed, shortened or left out.
 */
export async function findChangedHead(sql: Queryable, heads: readonly Head[]): Promise<BrokenEntry | null> {
  const [changed] = await sql<{ pnptv_uuid: string; seq: number; id: number | null }[]>`
    SELECT pnptv_uuid, seq, log.id
    FROM unnest(
      ${heads.map(([pnptvUuid]) => pnptvUuid)}::uuid[], ${heads.map(([, seq]) => String(seq))}::bigint[],
      ${heads.map(([, , rowHash]) => rowHash)}::text[]
    ) AS head (pnptv_uuid, seq, row_hash) LEFT JOIN pds_provisioning_log AS log USING (pnptv_uuid, seq)
    WHERE encode(log.row_hash, 'hex') IS DISTINCT FROM head.row_hash ORDER BY pnptv_uuid LIMIT 1`;
  if (!changed) return null;
  const { pnptv_uuid: pnptvUuid, seq, id } = changed;
  return { pnptvUuid, seq, id, fault: id === null ? 'missing' : 'head' };
}

function rootOf(heads: readonly Head[]): string {
  const leaves = heads.map((head) => Buffer.from(canonicalJson(['pds-audit-head/1', ...head])));
  return Buffer.from(merkleRoot(leaves)).toString('hex');
}

function countEntries(heads: readonly Head[]): number {
  return heads.reduce((sum, [, seq]) => sum + seq, 0);
}

function messageOf(statement: Statement): Uint8Array {
  return Buffer.from(canonicalJson(statement));
}

function isSigned(message: Uint8Array, { public_key, value }: SealedRoot['signature']): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
    return verify('sha256', message, key, Buffer.from(value, 'base64'));
  } catch {
    return false; // no key
  }
}

function invalid(problem: string): AppError {
  return new AppError('ROOT_INVALID', `The sealed root ${problem}.`);
}
