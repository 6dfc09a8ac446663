import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { idOf, timestamp } from '../../http/fields.ts';
import { limit, offset } from '../../http/paging.ts';

const kind = z.enum(['rotate_keys', 'rename', 'revoke', 'come_back', 'delete', 'join', 'move', 'hand_over']);

const change = z.object({
  id: z.int(),
  kind,
  state: z.enum(['under_way', 'done', 'cancelled', 'failed']),
  /** What is done of it; `requested`: nothing yet. */
  step: z.string(),
  wish: z.record(z.string(), z.unknown()),
  cancellable: z.boolean(),
  cancel_wanted: z.boolean(),
  waits_for: z.nullable(z.string()),
  due_at: timestamp,
  created_at: timestamp,
  ended_at: z.nullable(timestamp),
  error: z.nullable(z.object({ code: z.string(), message: z.string() })),
});

export const listChanges = contract({
  operationId: 'listChanges',
  summary: 'What is being changed about your identity, and what was, newest first',
  method: 'GET',
  path: '/api/pds/changes',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(20), offset }),
  data: z.array(change),
  paginated: true,
});

export const cancelChange = contract({
  operationId: 'cancelChange',
  summary:
    'Take a change back: at once, while nothing of it has happened; most also later, as long as all that has can be undone',
  method: 'POST',
  path: '/api/pds/changes/{id}/cancel',
  access: 'member',
  host: 'app',
  limits: { member: { max: 30, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  params: z.strictObject({
    id: idOf('a change'),
  }),
  data: z.object({ change_id: z.int(), cancelled: z.boolean() }),
  errors: ['CHANGE_NOT_FOUND', 'CHANGE_NOT_CANCELLABLE', 'CHANGE_OF_RECOVERY_KEY'],
});

export const listOpenChanges = contract({
  operationId: 'listOpenChanges',
  summary:
    'All changes of identities that are under way, the one that is due longest first: how far each is, since when, and what it waits for',
  method: 'GET',
  path: '/api/admin/changes',
  access: 'admin',
  host: 'app',
  query: z.strictObject({ limit: limit(50), offset }),
  data: z.array(
    z.object({
      id: z.int(),
      user_id: z.string(),
      pnptv_uuid: z.uuid(),
      kind,
      step: z.string(),
      waits_for: z.nullable(z.string()),
      error_code: z.nullable(z.string()),
      queue_id: z.nullable(z.int()),
      next_try_at: z.nullable(timestamp),
      requested_by: z.string(),
      cancel_wanted: z.boolean(),
      created_at: timestamp,
      due_at: timestamp,
      age_seconds: z.int(),
    }),
  ),
  paginated: true,
});
