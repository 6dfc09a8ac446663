import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';

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
        ]),
      }),
    ),
  }),
  errors: ['MEMBER_NOT_FOUND', 'AUDIT_TOO_LARGE'],
});
