import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

export const listProviders = contract({
  operationId: 'listProviders',
  summary: 'The PDSs of this service: where you live, and which of the others would take you now',
  method: 'GET',
  path: '/api/pds/providers',
  access: 'member',
  host: 'app',
  data: z.array(
    z.object({
      provider: z.string(),
      host: z.string(),
      current: z.boolean(),
      takes_you: z.boolean(),
      reason: z.nullable(z.enum(['current', 'down', 'busy', 'closing'])),
    }),
  ),
  errors: ['IDENTITY_NOT_READY'],
});

/** https://atproto.com/guides/account-migration */
export const moveIdentity = contract({
  operationId: 'moveIdentity',
  summary:
    'Move to another PDS of this service with all that you have written: it is carried over while you go on, and for a minute or so at the end nothing can be written. ' +
    'Your DID and your handle stay; logins in apps and app passwords do not move. It can be cancelled until your account there is active',
  method: 'POST',
  path: '/api/pds/move',
  access: 'member',
  host: 'app',
  stepUp: { target: 'provider' },
  limits: { member: { max: 10, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject({
    provider: z
      .string()
      .check(
        z.regex(/^(local|remote:[a-z0-9.:[\]-]{1,253})$/, 'must be a `provider` of GET /api/pds/providers'),
      ),
  }),
  data: z.object({ change_id: z.int() }),
  errors: ['PROVIDER_NOT_FOUND', 'MOVE_ALREADY_THERE', 'CHANGE_IN_PROGRESS', 'IDENTITY_NOT_READY'],
});
