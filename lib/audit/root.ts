import * as z from 'zod/mini';
import type { Queryable, Sql } from '../db/connect.ts';
import { merkleRoot } from './merkle.ts';
import { expectSigned, invalidRoot, leafOf, messageOf } from './signature.ts';
import { type Head, hash, type RootStatement, rootSignature, rootStatement } from './statement.ts';
import type { BrokenEntry } from './verify-log.ts';

/** All heads at one time, under one signed hash. About 120 bytes a member. */
const sealedRoot = z.extend(rootStatement, {
  signature: z.extend(rootSignature, { key: z.string() }),
  heads: z.array(z.tuple([z.uuid(), z.int(), hash])),
});
export type SealedRoot = z.output<typeof sealedRoot>;

/** Signs with a key that whoever owns the database does not hold. ECDSA over NIST P-256 with SHA-256. */
export type Signer = (message: Uint8Array) => Promise<SealedRoot['signature']>;

/** Below the 5 minutes of the function that seals (infra/subsystems/audit.ts). The log only grows. */
const READING = '4min';

/** The heads of all chains in one consistent read, sorted by pnptv_uuid. */
async function readHeads(sql: Sql): Promise<Head[]> {
  const rows = await sql.begin('read only', async (tx) => {
    await tx`SELECT set_config('statement_timeout', ${READING}, true)`;
    return tx<{ pnptv_uuid: string; seq: number; row_hash: string }[]>`
      SELECT DISTINCT ON (pnptv_uuid) pnptv_uuid, seq, encode(row_hash, 'hex') AS row_hash
      FROM pds_provisioning_log ORDER BY pnptv_uuid, seq DESC`;
  });
  return rows.map(({ pnptv_uuid, seq, row_hash }) => [pnptv_uuid, seq, row_hash]);
}

/** Reads all heads and seals them under one signed root. */
export async function sealRoot(
  { sql, sign, now }: { sql: Sql; sign: Signer; now: () => Date },
  environment: string,
): Promise<SealedRoot> {
  const heads = await readHeads(sql);
  const statement: RootStatement = {
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
 * A sealed root from its JSON. Throws `ROOT_INVALID` unless its signature (see `expectSigned`), its root and its counts
 * hold.
 */
export function openRoot(content: unknown): SealedRoot {
  const { success, data } = sealedRoot.safeParse(content);
  if (!success) throw invalidRoot('is none');
  const { heads, signature, ...statement } = data;
  expectSigned(statement, signature);
  if (statement.root !== rootOf(heads)) throw invalidRoot('has heads that are not those which were signed');
  if (statement.members !== heads.length || statement.entries !== countEntries(heads))
    throw invalidRoot('counts its heads wrongly');
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
  return Buffer.from(merkleRoot(heads.map(leafOf))).toString('hex');
}

function countEntries(heads: readonly Head[]): number {
  return heads.reduce((sum, [, seq]) => sum + seq, 0);
}
