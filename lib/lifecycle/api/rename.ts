import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

/** A PDS takes 50 changes of an account's handle a day: https://github.com/bluesky-social/atproto, updateHandle.ts. */
export const renameHandle = contract({
  operationId: 'renameHandle',
  summary:
    'Ask for another handle: a free name under our domain, or one that you gave up. It happens within a minute or so, see GET /api/pds/changes; ' +
    'the one before leads to you for some days more, and goes to nobody else for 90 days',
  method: 'PATCH',
  path: '/api/pds/handle',
  access: 'member',
  host: 'app',
  stepUp: { target: 'handle' },
  limits: { member: { max: 10, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject({
    handle: z.string().check(z.regex(/^@?[A-Za-z0-9.-]{1,253}$/, 'must be a handle or its first label')),
  }),
  data: z.object({ change_id: z.int(), pds_handle: z.string() }),
  errors: [
    'HANDLE_INVALID',
    'HANDLE_RESERVED',
    'HANDLE_UNCHANGED',
    'HANDLE_TAKEN',
    'HANDLE_GIVEN_UP',
    'HANDLES_TOO_MANY',
    'IDENTITY_NOT_READY',
    'CHANGE_IN_PROGRESS',
  ],
});
