import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { idOf, timestamp } from '../../http/fields.ts';
import { limit, offset } from '../../http/paging.ts';

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
    id: idOf('a backup'),
  }),
  data: z.object({ backup_id: z.number(), restored_at: timestamp, recovery_backup_id: z.number() }),
  errors: [
    'BACKUP_NOT_FOUND',
    'BACKUP_EXPIRED',
    'BACKUP_USED',
    'BACKUP_REJECTED',
    'RESTORE_IN_PROGRESS',
    'CHANGE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
  ],
});

export const revealCredentials = contract({
  operationId: 'revealCredentials',
  summary:
    'Your private key, the password of your account, or our rotation key of your did:plc: the only way in which any of them leaves. It is written into your audit log first',
  method: 'POST',
  path: '/api/pds/credentials/reveal',
  access: 'member',
  host: 'app',
  limits: { member: { max: 10, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  stepUp: { target: 'credential' },
  body: z.strictObject({ credential: z.enum(['private_key', 'account_password', 'rotation_key']) }),
  data: z.union([
    z.object({
      credential: z.literal('private_key'),
      pds_did: z.string(),
      /** The verification method of the DID document. */
      key_id: z.string(),
      public_key_multibase: z.string(),
      /** The 32-byte seed of RFC 8032, 5.1.5, in base64url. */
      private_key: z.string(),
    }),
    z.object({
      credential: z.literal('account_password'),
      pds_did: z.string(),
      pds_handle: z.string(),
      pds_endpoint: z.string(),
      password: z.string(),
    }),
    z.object({
      credential: z.literal('rotation_key'),
      pds_did: z.string(),
      /** Its public half, as the PLC directory has it. */
      did_key: z.string(),
      /** The 32-byte scalar of SEC 1, 2.3.7, in base64url. */
      private_key: z.string(),
    }),
  ]),
  errors: ['IDENTITY_NOT_READY', 'NO_ROTATION_KEYS', 'CHANGE_IN_PROGRESS'],
});
