import * as z from 'zod/mini';
import { contract } from '../http/contract.ts';
import { idOf, timestamp } from '../http/fields.ts';
import { limit, offset } from '../http/paging.ts';
import { CHANGE_ACTIONS, PROVISIONING_ACTIONS } from './queue/queue.ts';

export const listDeadLetters = contract({
  operationId: 'listDeadLetters',
  summary: 'All work that was given up and is still open, the oldest first: why, in words, and since when',
  method: 'GET',
  path: '/api/admin/dead-letters',
  access: 'admin',
  host: 'app',
  query: z.strictObject({ limit: limit(50), offset }),
  data: z.array(
    z.object({
      /** Null for a message that names no work of ours. */
      queue_id: z.nullable(z.int()),
      pnptv_uuid: z.nullable(z.uuid()),
      action: z.nullable(z.enum([...PROVISIONING_ACTIONS, ...CHANGE_ACTIONS])),
      code: z.string(),
      means: z.string(),
      todo: z.string(),
      details: z.nullable(z.record(z.string(), z.unknown())),
      attempts: z.int(),
      receives: z.int(),
      failed_at: timestamp,
      age_seconds: z.int(),
    }),
  ),
  paginated: true,
});

export const redriveWork = contract({
  operationId: 'redriveWork',
  summary: 'Begin one work that was given up again, with fresh attempts and the same secrets',
  method: 'POST',
  path: '/api/admin/queue/{id}/redrive',
  access: 'admin',
  host: 'app',
  params: z.strictObject({
    id: idOf('a row of the queue'),
  }),
  data: z.object({
    queue_id: z.int(),
    redriven: z.boolean(),
    reason: z.nullable(z.enum(['at_work', 'done', 'superseded'])),
  }),
  errors: ['WORK_NOT_FOUND'],
});

export const redriveAll = contract({
  operationId: 'redriveAll',
  summary: 'Begin all work that was given up again, the oldest first, as far as one request comes',
  method: 'POST',
  path: '/api/admin/dead-letters/redrive',
  access: 'admin',
  host: 'app',
  data: z.object({ redriven: z.int(), put_away: z.int(), left: z.int() }),
});
