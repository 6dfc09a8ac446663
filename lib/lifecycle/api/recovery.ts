import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';

const timestamp = z.iso.datetime();
/** Its curve, and that it is a point of it, says `readRotationKey`. */
const didKey = z.string().check(z.regex(/^did:key:z[1-9A-HJ-NP-Za-km-z]{40,60}$/, 'must be a did:key'));
const signature = z.string().check(z.regex(/^[A-Za-z0-9_-]{86}$/, 'must be 64 bytes in base64url'));
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

const recoveryKey = z.object({
  pds_did: z.string(),
  did_method: z.enum(['web', 'plc']),
  recovery_key: z.nullable(z.string()),
  trusted_at: z.nullable(timestamp),
  next: z.nullable(z.object({ recovery_key: z.nullable(z.string()), takes_effect_at: timestamp })),
  /** Of a did:plc, in order of power. */
  rotation_keys: z.nullable(
    z.array(z.object({ did_key: z.string(), holder: z.enum(['member', 'service', 'pds']) })),
  ),
  undoable_until: z.nullable(timestamp),
  statement: z.string(),
  explanation: z.string(),
});

export const getRecoveryKey = contract({
  operationId: 'getRecoveryKey',
  summary:
    'The key that you alone hold, and what it can do: of a did:plc the rotation key at the top, of a did:web the one that you registered here',
  method: 'GET',
  path: '/api/pds/recovery-key',
  access: 'member',
  host: 'app',
  data: recoveryKey,
  errors: ['IDENTITY_NOT_READY', 'PLC_UNAVAILABLE', 'RATE_LIMITED'],
});

/** https://web.plc.directory/spec/v0.1/did-plc. The directory takes 10 operations on a DID an hour and 30 a day. */
export const setRecoveryKey = contract({
  operationId: 'setRecoveryKey',
  summary:
    'Make a key that you alone hold your recovery key, in the place of one that you had: of a did:plc as its top rotation key, of a did:web registered here. ' +
    'Confirmed by the signature of the one before it counts at once, without it after 72 hours, in which you and that key can stop it',
  method: 'POST',
  path: '/api/pds/recovery-key',
  access: 'member',
  host: 'app',
  stepUp: { target: 'public_key' },
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject({
    public_key: didKey,
    signature,
    /** By the key before it, over the same statement. */
    confirmation: z.optional(signature),
  }),
  data: z.extend(recoveryKey, { changed: z.boolean() }),
  errors: [
    'RECOVERY_KEY_INVALID',
    'RECOVERY_KEY_NOT_PROVEN',
    'RECOVERY_KEY_NOT_CONFIRMED',
    'CHANGE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
    'ROTATION_KEYS_NOT_OURS',
    'ROTATION_KEYS_CHANGED',
    'PLC_REFUSED',
    'PLC_UNAVAILABLE',
  ],
});

export const removeRecoveryKey = contract({
  operationId: 'removeRecoveryKey',
  summary:
    'Take a recovery key away: one that is not trusted yet, or that is to take the place of another, at once; a trusted one after 72 hours, in which you and that key can stop it; of a did:plc at once, which that key can undo for 72 hours',
  method: 'DELETE',
  path: '/api/pds/recovery-key/{key}',
  access: 'member',
  host: 'app',
  stepUp: { target: 'key' },
  limits: { member: { max: 5, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  params: z.strictObject({ key: didKey }),
  data: z.extend(recoveryKey, { changed: z.boolean() }),
  errors: [
    'RECOVERY_KEY_NOT_FOUND',
    'CHANGE_IN_PROGRESS',
    'IDENTITY_NOT_READY',
    'ROTATION_KEYS_NOT_OURS',
    'ROTATION_KEYS_CHANGED',
    'PLC_REFUSED',
    'PLC_UNAVAILABLE',
  ],
});

export const makeRecoveryKey = contract({
  operationId: 'makeRecoveryKey',
  summary:
    'For those without a tool: we make a key, show it this once and store nothing of it. It is yours when you send its public half and the signature back; until you make one yourself, you trust that we forgot it',
  method: 'POST',
  path: '/api/pds/recovery-key/new',
  access: 'member',
  host: 'app',
  limits: { member: { max: 10, windowSeconds: 3600 }, address: { max: 100, windowSeconds: 3600 } },
  data: z.object({ private_key: z.string(), public_key: z.string(), signature: z.string() }),
  errors: ['IDENTITY_NOT_READY'],
});

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
const requested = z.object({ change_id: z.int(), due_at: timestamp });

export const requestHandOver = contract({
  operationId: 'requestHandOver',
  summary:
    'Leave for any PDS that you name, or change what you named: after 72 hours your document names it and your key there, and goes on being served. Until then you can take it back',
  method: 'POST',
  path: '/api/pds/hand-over',
  access: 'member',
  host: 'app',
  stepUp: { target: 'endpoint' },
  limits: { member: { max: 10, windowSeconds: 86_400 }, address: { max: 100, windowSeconds: 3600 } },
  body: z.strictObject(destination),
  data: requested,
  errors: [
    'TARGET_INVALID',
    'TARGET_UNREACHABLE',
    'TARGET_NOT_A_PDS',
    'TARGET_IS_OURS',
    'IDENTITY_NOT_READY',
    'CHANGE_IN_PROGRESS',
  ],
});

/** What shows that a request is of whoever holds the key: the time of it, and the signature over all of it. */
const authority = { did, issued_at: timestamp, signature };

export const recoverByHandOver = contract({
  operationId: 'recoverByHandOver',
  summary:
    'The same by your recovery key alone, for whoever has lost his Telegram account. It takes the place of a change that is still waiting; a session cannot take it back',
  method: 'POST',
  path: '/api/recovery/hand-over',
  access: 'public',
  host: 'app',
  limits: { address: network },
  body: z.strictObject({ ...authority, ...destination }),
  data: requested,
  errors: [
    'RECOVERY_SIGNATURE_EXPIRED',
    'RECOVERY_SIGNATURE_INVALID',
    'SIGNATURE_REPLAYED',
    'TARGET_INVALID',
    'TARGET_UNREACHABLE',
    'TARGET_NOT_A_PDS',
    'TARGET_IS_OURS',
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
  errors: [
    'RECOVERY_SIGNATURE_EXPIRED',
    'RECOVERY_SIGNATURE_INVALID',
    'SIGNATURE_REPLAYED',
    'CHANGE_NOT_FOUND',
    'CHANGE_NOT_CANCELLABLE',
    'PLC_UNAVAILABLE',
  ],
});
