import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { idOf, timestamp } from '../../http/fields.ts';
import { limit, offset } from '../../http/paging.ts';

const contents = z.enum(['data', 'data_and_keys']);

export const requestExport = contract({
  operationId: 'requestExport',
  summary:
    'Have an archive made of everything that is yours: repository, files, preferences, DID document, audit log; with your keys and the password of your account, encrypted under a code that is shown this once, only if you ask for them',
  method: 'POST',
  path: '/api/pds/export',
  access: 'member',
  host: 'app',
  stepUp: { target: 'contents' },
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject({ contents }),
  data: z.object({
    export_id: z.int(),
    contents,
    /** Opens `keys.jwe`; nobody else has it, and it is not shown again. */
    keys_code: z.nullable(z.string()),
    created_at: timestamp,
  }),
  errors: ['IDENTITY_NOT_READY', 'EXPORT_IN_PROGRESS', 'CHANGE_IN_PROGRESS'],
});

export const listExports = contract({
  operationId: 'listExports',
  summary: 'Your exports, newest first: how far they are, and until when they can be downloaded',
  method: 'GET',
  path: '/api/pds/exports',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(20), offset }),
  data: z.array(
    z.object({
      id: z.int(),
      contents,
      state: z.enum(['under_way', 'ready', 'failed']),
      /** What is done of it. */
      step: z.enum(['requested', 'blobs', 'repository', 'sealed']),
      /** Files that are in it so far. */
      blobs: z.int(),
      /** Bytes so far; of a ready one, of the archive. */
      size: z.int(),
      left_out: z.array(z.object({ what: z.string(), why: z.string() })),
      created_at: timestamp,
      ended_at: z.nullable(timestamp),
      expires_at: timestamp,
      error: z.nullable(z.object({ code: z.string(), message: z.string() })),
    }),
  ),
  paginated: true,
});

export const downloadExport = contract({
  operationId: 'downloadExport',
  summary:
    'A URL from which an export can be downloaded for 10 minutes, also in pieces (Range): a download that broke off goes on',
  method: 'POST',
  path: '/api/pds/exports/{id}/download',
  access: 'member',
  host: 'app',
  limits: { member: { max: 60, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  params: z.strictObject({
    id: idOf('an export'),
  }),
  data: z.object({ url: z.string(), url_expires_at: timestamp, size: z.int(), file_name: z.string() }),
  errors: ['EXPORT_NOT_FOUND', 'EXPORT_NOT_READY'],
});
