import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';
import { limit, offset } from '../http/paging.ts';

const timestamp = z.iso.datetime();

export const createBackup = contract({
  operationId: 'createBackup',
  summary: 'Back up the sealed credentials; the backup is kept for 30 days',
  method: 'POST',
  path: '/api/pds/create-backup',
  access: 'member',
  host: 'app',
  limits: { member: { max: 10, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  data: z.object({ backup_id: z.number(), created_at: timestamp, expires_at: timestamp }),
  errors: ['IDENTITY_NOT_READY'],
});

/** Asks for no second factor: a list of dates gives nothing away. */
export const listBackups = contract({
  operationId: 'listBackups',
  summary: 'Your backups, newest first, and which of them can be restored',
  method: 'GET',
  path: '/api/pds/backups',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(20), offset }),
  data: z.array(
    z.object({
      id: z.number(),
      backup_type: z.enum(['manual', 'auto', 'recovery']),
      created_at: timestamp,
      expires_at: timestamp,
      is_used: z.boolean(),
      used_at: z.nullable(timestamp),
      restorable: z.boolean(),
      reason: z.nullable(z.enum(['used', 'expired'])),
    }),
  ),
  paginated: true,
});

export const restoreBackup = contract({
  operationId: 'restoreBackup',
  summary: 'Put what a backup holds, once the PDS accepts it, in the place of the present credentials',
  method: 'POST',
  path: '/api/pds/backups/{id}/restore',
  access: 'member',
  host: 'app',
  stepUp: { target: 'id' },
  limits: { member: { max: 5, windowSeconds: 3600 }, address: { max: 100, windowSeconds: 3600 } },
  params: z.strictObject({
    id: z.string().check(z.regex(/^[1-9]\d{0,14}$/, 'must be the id of a backup')),
  }),
  data: z.object({ backup_id: z.number(), restored_at: timestamp, recovery_backup_id: z.number() }),
  errors: [
    'BACKUP_NOT_FOUND',
    'BACKUP_EXPIRED',
    'BACKUP_USED',
    'BACKUP_REJECTED',
    'RESTORE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
  ],
});
