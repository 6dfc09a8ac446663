import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { timestamp } from '../../http/fields.ts';

export const deleteAccount = contract({
  operationId: 'deleteAccount',
  summary:
    'Delete your identity for good, a day from now: the account at the PDS, our secrets of it, and all that we know of you. Until then you can take it back; after that nobody can',
  method: 'DELETE',
  path: '/api/pds/account',
  access: 'member',
  host: 'app',
  stepUp: {},
  limits: { member: { max: 10, windowSeconds: 3600 }, address: { max: 100, windowSeconds: 3600 } },
  data: z.object({
    change_id: z.int(),
    due_at: timestamp,
    account: z.enum(['deleted', 'deactivated', 'none']),
  }),
  errors: ['IDENTITY_NOT_FOUND', 'CHANGE_IN_PROGRESS'],
});
