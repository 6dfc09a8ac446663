import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { idOf, timestamp } from '../../http/fields.ts';
import { limit, offset } from '../../http/paging.ts';

const telegramId = z.string().check(z.regex(/^[1-9]\d{0,19}$/, 'must be a Telegram id'));
const byId = z.strictObject({
  id: idOf('a join'),
});

/** `waiting`: not all have agreed; `agreed`: it happens at `due_at`. */
const state = z.enum(['waiting', 'agreed', 'done', 'refused', 'withdrawn', 'expired']);
const join = z.object({
  id: z.int(),
  state,
  from_user_id: z.string(),
  to_user_id: z.string(),
  pds_handle: z.nullable(z.string()),
  reason: z.string(),
  created_at: timestamp,
  expires_at: timestamp,
  /** When the new account accepted, the old one consented, a second administrator approved. */
  accepted_at: z.nullable(timestamp),
  consented_at: z.nullable(timestamp),
  approved_at: z.nullable(timestamp),
  due_at: z.nullable(timestamp),
  ended_at: z.nullable(timestamp),
});
const answered = z.object({ id: z.int(), state, due_at: z.nullable(timestamp) });

export const requestJoin = contract({
  operationId: 'requestJoin',
  summary:
    'Ask for a member’s identity to be joined to his new Telegram account, which gives its own in exchange. Both accounts are told. ' +
    'The new one has to accept, and the old one to consent or, where nobody can any more, a second administrator to approve',
  method: 'POST',
  path: '/api/admin/joins',
  access: 'admin',
  host: 'app',
  body: z.strictObject({
    from_user_id: telegramId,
    to_user_id: telegramId,
    reason: z.string().check(z.trim(), z.minLength(1), z.maxLength(500)),
  }),
  data: answered,
  errors: ['MEMBER_NOT_FOUND', 'IDENTITY_NOT_READY', 'JOIN_IN_PROGRESS'],
});

export const listJoins = contract({
  operationId: 'listJoins',
  summary: 'All joins of identities to other Telegram accounts, newest first, and who has agreed',
  method: 'GET',
  path: '/api/admin/joins',
  access: 'admin',
  host: 'app',
  query: z.strictObject({ limit: limit(20), offset }),
  data: z.array(z.extend(join, { requested_by: z.string(), approved_by: z.nullable(z.string()) })),
  paginated: true,
});

export const approveJoin = contract({
  operationId: 'approveJoin',
  summary:
    'Approve a join in the place of an old account that cannot consent any more: another administrator than the one who asked for it',
  method: 'POST',
  path: '/api/admin/joins/{id}/approve',
  access: 'admin',
  host: 'app',
  params: byId,
  data: answered,
  errors: [
    'JOIN_NOT_FOUND',
    'JOIN_NOT_OPEN',
    'SECOND_ADMIN_REQUIRED',
    'CHANGE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
  ],
});

export const withdrawJoin = contract({
  operationId: 'withdrawJoin',
  summary: 'Take a join back that has not begun',
  method: 'POST',
  path: '/api/admin/joins/{id}/withdraw',
  access: 'admin',
  host: 'app',
  params: byId,
  data: answered,
  errors: ['JOIN_NOT_FOUND', 'JOIN_NOT_OPEN'],
});

export const listOwnJoins = contract({
  operationId: 'listOwnJoins',
  summary:
    'Joins that your Telegram account takes part in, newest first: whether an identity goes or comes, and who has agreed',
  method: 'GET',
  path: '/api/pds/joins',
  access: 'member',
  host: 'app',
  query: z.strictObject({ limit: limit(20), offset }),
  data: z.array(z.extend(join, { side: z.enum(['from', 'to']) })),
  paginated: true,
});

export const consentToJoin = contract({
  operationId: 'consentToJoin',
  summary:
    'Agree to a join: as the old account, to give the identity away; as the new one, to take it and give your own in exchange',
  method: 'POST',
  path: '/api/pds/joins/{id}/consent',
  access: 'member',
  host: 'app',
  stepUp: { target: 'id' },
  limits: { member: { max: 30, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  params: byId,
  data: answered,
  errors: ['JOIN_NOT_FOUND', 'JOIN_NOT_OPEN', 'CHANGE_IN_PROGRESS', 'IDENTITY_NOT_READY'],
});

export const refuseJoin = contract({
  operationId: 'refuseJoin',
  summary: 'Refuse a join, as either account, until it begins: it is off, whoever has agreed',
  method: 'POST',
  path: '/api/pds/joins/{id}/refuse',
  access: 'member',
  host: 'app',
  limits: { member: { max: 30, windowSeconds: 3600 }, address: { max: 300, windowSeconds: 3600 } },
  params: byId,
  data: answered,
  errors: ['JOIN_NOT_FOUND', 'JOIN_NOT_OPEN'],
});
