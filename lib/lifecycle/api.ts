import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';

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
