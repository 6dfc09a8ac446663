import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { timestamp } from '../../http/fields.ts';
import { identityInfo } from '../../pds/api.ts';

const member = z.object({
  id: z.string(),
  username: z.nullable(z.string()),
  first_name: z.nullable(z.string()),
  last_name: z.nullable(z.string()),
  photo_url: z.nullable(z.string()),
  role: z.enum(['member', 'admin']),
});
/** Who is logged in until when, with his identity. */
export const session = z.object({ member, expires_at: timestamp, pds: identityInfo });

export const getSession = contract({
  operationId: 'getSession',
  summary: 'Who is logged in, and the state of his identity',
  method: 'GET',
  path: '/api/auth/session',
  access: 'member',
  host: 'app',
  data: session,
  errors: ['IDENTITY_NOT_FOUND'],
});

export const logout = contract({
  operationId: 'logout',
  summary: 'End this session',
  method: 'POST',
  path: '/api/auth/logout',
  access: 'member',
  host: 'app',
  data: z.object({ logged_out: z.boolean() }),
});

export const listSessions = contract({
  operationId: 'listSessions',
  summary: 'Your living sessions, newest use first; another than this one shows its last use to the hour',
  method: 'GET',
  path: '/api/auth/sessions',
  access: 'member',
  host: 'app',
  data: z.array(
    z.object({
      id: z.uuid(),
      /** Browser and system, as the client names them; null when they are unknown. */
      device: z.nullable(z.string()),
      login_method: z.string(),
      created_at: timestamp,
      last_seen_at: timestamp,
      expires_at: timestamp,
      current: z.boolean(),
    }),
  ),
});

/** How many sessions were ended. */
const revoked = z.object({ revoked: z.int() });

export const revokeSession = contract({
  operationId: 'revokeSession',
  summary: 'End one of your sessions; the second time it is not found any more',
  method: 'DELETE',
  path: '/api/auth/sessions/{id}',
  access: 'member',
  host: 'app',
  params: z.strictObject({ id: z.uuid() }),
  data: revoked,
  errors: ['SESSION_NOT_FOUND'],
});

export const revokeOtherSessions = contract({
  operationId: 'revokeOtherSessions',
  summary: 'End all of your sessions but this one, and whatever login link or code was not used yet',
  method: 'DELETE',
  path: '/api/auth/sessions',
  access: 'member',
  host: 'app',
  data: revoked,
});
