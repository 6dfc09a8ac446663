import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { timestamp } from '../../http/fields.ts';
import { didKey, signature } from './keys.ts';

const did = z
  .string()
  .check(z.regex(/^did:(web:[a-z0-9.-]{3,240}|plc:[a-z2-7]{24})$/, 'must be a did:web or did:plc'));
const endpoint = z
  .string()
  .check(z.regex(/^https?:\/\/[a-z0-9.:[\]-]{1,240}$/, 'must be an origin, without path or trailing slash'));
const handle = z
  .string()
  .check(
    z.maxLength(253),
    z.regex(
      /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/,
      'must be a handle in lower case, without @',
    ),
  );
const network = { max: 60, windowSeconds: 3600 };

/**
 * What a member who leaves names: his new PDS, his key there, his handle, if it is not to stay, and the rotation keys that
 * his new PDS wants to see in a did:plc.
 */
const destination = {
  endpoint,
  atproto_key: didKey,
  handle: z.optional(handle),
  rotation_keys: z.optional(z.array(didKey).check(z.minLength(1), z.maxLength(3))),
};
/** What may be wrong with it. */
const OF_DESTINATION = [
  'TARGET_INVALID',
  'TARGET_UNREACHABLE',
  'TARGET_NOT_A_PDS',
  'TARGET_IS_OURS',
] as const;
const requested = z.object({
  change_id: z.int(),
  due_at: timestamp,
  /** What would stand in the way as of now. */
  missing: z.array(z.string()),
});

export const requestHandOver = contract({
  operationId: 'requestHandOver',
  summary:
    'Leave for any PDS that you name, or change what you named: after 72 hours your document names it and your key there, and goes on being served. Until then you can take it back',
  method: 'POST',
  path: '/api/pds/hand-over',
  access: 'member',
  host: 'app',
  stepUp: { target: ['endpoint', 'atproto_key', 'handle', 'rotation_keys'] },
  limits: { member: { max: 10, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject(destination),
  data: requested,
  errors: [...OF_DESTINATION, 'IDENTITY_NOT_READY', 'CHANGE_IN_PROGRESS'],
});

/** What shows that a request is of whoever holds the key: the time of it, and the signature over all of it. */
const authority = { did, issued_at: timestamp, signature };
const OF_AUTHORITY = [
  'RECOVERY_SIGNATURE_EXPIRED',
  'RECOVERY_SIGNATURE_INVALID',
  'SIGNATURE_REPLAYED',
] as const;

export const recoverByHandOver = contract({
  operationId: 'recoverByHandOver',
  summary:
    'The same by your recovery key alone, for whoever has lost his Telegram account. It takes the place of a change that is still waiting; once that key is trusted, a session cannot take it back',
  method: 'POST',
  path: '/api/recovery/hand-over',
  access: 'public',
  host: 'app',
  limits: { address: network },
  body: z.strictObject({ ...authority, ...destination }),
  data: requested,
  errors: [
    ...OF_AUTHORITY,
    ...OF_DESTINATION,
    'IDENTITY_NOT_READY',
    'CHANGE_IN_PROGRESS',
    'CHANGE_NOT_CANCELLABLE',
    'PLC_UNAVAILABLE',
  ],
});

export const recoverByCancelling = contract({
  operationId: 'recoverByCancelling',
  summary:
    'Take back, by your recovery key alone, a change of your identity that is still waiting, and what is to take the place of that key',
  method: 'POST',
  path: '/api/recovery/cancel',
  access: 'public',
  host: 'app',
  limits: { address: network },
  body: z.strictObject(authority),
  data: z.object({ cancelled_change_id: z.nullable(z.int()), kept_recovery_key: z.boolean() }),
  errors: [...OF_AUTHORITY, 'CHANGE_NOT_FOUND', 'CHANGE_NOT_CANCELLABLE', 'PLC_UNAVAILABLE'],
});
