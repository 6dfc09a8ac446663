import type * as z from 'zod/mini';
import { limitUse } from '../../auth/rate-limit.ts';
import type { Me } from '../../auth/session/session.ts';
import type { Did } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import type { PlcDirectory } from '../../pds/plc/directory.ts';
import type { getRecoveryKey } from '../api.ts';
import { readLog, rotationKeysOf } from '../rotation-key/show.ts';
import { type RegisteredKey, readRegisteredKey } from './key.ts';
import { EXPLANATIONS, keyStatement } from './words.ts';

export type RecoveryKey = z.output<typeof getRecoveryKey.data>;

/** What a member may ask of the PLC directory through us. */
const LIMIT = { max: 30, windowSeconds: 60 };

/**
 * The recovery key of whoever is logged in: of a did:web as it is registered, of a did:plc as the directory has it now.
 * Throws `IDENTITY_NOT_READY` (409), `RATE_LIMITED` (429), `PLC_UNAVAILABLE` (503).
 */
export async function showRecoveryKey(
  { sql, directory, now }: { sql: Queryable; directory: PlcDirectory; now: () => Date },
  me: Me,
): Promise<RecoveryKey> {
  const [row] = await me<{
    user_id: string;
    pds_did: Did;
    did_method: 'web' | 'plc';
    rotation_public_key: string | null;
  }>`
    SELECT m.user_id, m.pds_did, m.did_method, m.rotation_public_key FROM user_pds_mapping m
    WHERE m.user_id = me.id AND m.status IN ('active', 'revoked') AND m.pds_did IS NOT NULL`;
  if (row === undefined) throw apiError('IDENTITY_NOT_READY');
  await limitUse(sql, 'getRecoveryKey', row.user_id, LIMIT);
  if (row.did_method === 'web')
    return ofRegistered(row.pds_did, await readRegisteredKey(sql, row.user_id, now()));
  const ours = `did:key:${row.rotation_public_key}`;
  return ofLog(await readLog(directory, row.pds_did), { ours, now: now() });
}

/** The recovery key of a did:web. */
export function ofRegistered(did: string, { key, trustedAt, next }: RegisteredKey): RecoveryKey {
  return {
    pds_did: did,
    did_method: 'web',
    recovery_key: key,
    trusted_at: trustedAt?.toISOString() ?? null,
    next: next && { recovery_key: next.key, takes_effect_at: next.at.toISOString() },
    rotation_keys: null,
    undoable_until: null,
    statement: keyStatement(did, ''),
    explanation: EXPLANATIONS.web,
  };
}

/** The recovery key of a did:plc: the topmost rotation key that is the member's. */
export function ofLog(log: PlcLog, { ours, now }: { ours: string; now: Date }): RecoveryKey {
  const { rotation_keys, undoable_until } = rotationKeysOf(log, { ours, now });
  return {
    pds_did: log.did,
    did_method: 'plc',
    recovery_key: rotation_keys.find(({ holder }) => holder === 'member')?.did_key ?? null,
    trusted_at: null,
    next: null,
    rotation_keys,
    undoable_until,
    statement: keyStatement(log.did, ''),
    explanation: EXPLANATIONS.plc,
  };
}
