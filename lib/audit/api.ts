import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';
import { hash, rootSignature, rootStatement } from './statement.ts';

export const verifyAudit = contract({
  operationId: 'verifyAudit',
  summary: 'Verify the audit log of one member or of all: names the first row that does not hold',
  method: 'GET',
  path: '/api/admin/audit/verify',
  access: 'admin',
  host: 'app',
  query: z.strictObject({
    userId: z.optional(z.string().check(z.regex(/^\d{1,20}$/, 'must be a Telegram id'))),
  }),
  data: z.object({
    intact: z.boolean(),
    /** How many chains and entries hold; up to the first that does not, if there is one. */
    members: z.int(),
    entries: z.int(),
    broken: z.nullable(
      z.object({
        pnptv_uuid: z.uuid(),
        seq: z.int(),
        id: z.nullable(z.int()),
        reason: z.enum([
          'missing',
          'prev_hash',
          'row',
          'user_id',
          'details',
          'error_message',
          'created_by',
          'erasure',
          'head',
        ]),
      }),
    ),
  }),
  errors: ['MEMBER_NOT_FOUND', 'AUDIT_TOO_LARGE'],
});

/** That entry `seq` of a chain, with what it says now, was under a signed root: lib/audit/inclusion.ts. */
export const rootProof = z.strictObject({
  statement: rootStatement,
  signature: rootSignature,
  leaf_index: z.int().check(z.gte(0)),
  seq: z.int().check(z.gte(1)),
  path: z.array(hash),
});

/** A member's log with all that it takes to verify it: lib/audit/export.ts says how. Bytes are in hex. */
export const logExport = z.strictObject({
  format: z.literal('pds-audit-log/1'),
  /** Null where nothing is logged yet. */
  pnptv_uuid: z.nullable(z.uuid()),
  /** The key of the commitments; null when it was destroyed. */
  erasure_key: z.nullable(hash),
  entries: z.array(
    z.strictObject({
      id: z.int(),
      seq: z.int(),
      user_id: z.nullable(z.string()),
      action: z.string(),
      status: z.string(),
      details: z.nullable(z.record(z.string(), z.unknown())),
      error_code: z.nullable(z.string()),
      error_message: z.nullable(z.string()),
      created_by: z.nullable(z.string()),
      /** With microseconds: they are hashed. */
      created_at: z.iso.datetime({ precision: 6 }),
      user_id_commitment: hash,
      details_commitment: hash,
      error_message_commitment: hash,
      prev_hash: hash,
      row_hash: hash,
    }),
  ),
  /** Null until the first root after the first entry. */
  root: z.nullable(rootProof),
});

export const exportLog = contract({
  operationId: 'exportLog',
  summary: "The member's whole audit log with its proof, as a file, oldest entry first",
  method: 'GET',
  path: '/api/pds/provisioning-log/export',
  access: 'member',
  host: 'app',
  data: logExport,
  download: 'audit-log.json',
  errors: ['LOG_TOO_LARGE'],
});
