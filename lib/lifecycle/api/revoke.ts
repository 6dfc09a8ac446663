import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

const asked = z.object({ change_id: z.int() });

export const revokeIdentity = contract({
  operationId: 'revokeIdentity',
  summary:
    'Switch your identity off: its account is deactivated at the PDS. Nothing is lost: your DID and handle stay yours, what you signed can be verified, ' +
    'and POST /api/pds/reactivate brings it back',
  method: 'POST',
  path: '/api/pds/revoke',
  access: 'member',
  host: 'app',
  stepUp: {},
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  data: asked,
  errors: ['IDENTITY_NOT_READY', 'CHANGE_IN_PROGRESS'],
});

/** Behind the second factor, too: who has switched his identity off may have had a reason that a thief has not. */
export const reactivateIdentity = contract({
  operationId: 'reactivateIdentity',
  summary:
    'Bring your identity back: its account is activated again at the PDS, whether it was revoked here or deactivated there',
  method: 'POST',
  path: '/api/pds/reactivate',
  access: 'member',
  host: 'app',
  stepUp: {},
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  data: asked,
  errors: ['IDENTITY_NOT_READY', 'CHANGE_IN_PROGRESS'],
});
