import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

export const rotateKeys = contract({
  operationId: 'rotateKeys',
  summary:
    'New keys now, and not only when their time comes: your key, the password of your account where its PDS lets us set ' +
    'one, your session and, of a did:plc, our rotation key. The old key stays in your DID document for a grace period. ' +
    'The key that signs your repository is held by your PDS and stays',
  method: 'POST',
  path: '/api/pds/rotate-keys',
  access: 'member',
  host: 'app',
  stepUp: {},
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  data: z.object({ change_id: z.int(), due_at: z.iso.datetime() }),
  errors: ['IDENTITY_NOT_READY', 'CHANGE_IN_PROGRESS'],
});
