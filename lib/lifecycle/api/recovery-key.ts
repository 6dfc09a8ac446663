import * as z from 'zod/mini';
import { contract } from '../../http/contract.ts';
import { timestamp } from '../../http/fields.ts';
import { didKey, signature } from './keys.ts';

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

const OF_CHANGING_IT = [
  'CHANGE_IN_PROGRESS',
  'IDENTITY_NOT_READY',
  'ROTATION_KEYS_NOT_OURS',
  'ROTATION_KEYS_CHANGED',
  'PLC_REFUSED',
  'PLC_UNAVAILABLE',
] as const;

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
    ...OF_CHANGING_IT,
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
  errors: ['RECOVERY_KEY_NOT_FOUND', ...OF_CHANGING_IT],
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
