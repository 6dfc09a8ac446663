import type * as z from 'zod/mini';
import { limitUse } from '../../auth/rate-limit.ts';
import type { Me } from '../../auth/session/session.ts';
import type { Did } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import type { PlcDirectory } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';
import type { getRotationKeys } from '../api.ts';
import { EXPLANATION, statementFor } from './words.ts';

export type RotationKeys = z.output<typeof getRotationKeys.data>;

/** What a member may ask of the PLC directory through us. */
const LIMIT = { max: 30, windowSeconds: 60 };
/** https://web.plc.directory/spec/v0.1/did-plc#key-rotation--account-recovery */
const RECOVERY_WINDOW_MS = 72 * 3600_000;

/**
 * The rotation keys of whoever is logged in, as the PLC directory has them now. Throws `IDENTITY_NOT_READY` and
 * `NO_ROTATION_KEYS` (409), `RATE_LIMITED` (429), `PLC_UNAVAILABLE` (503).
 */
export async function showRotationKeys(
  { sql, directory, now }: { sql: Queryable; directory: PlcDirectory; now: () => Date },
  me: Me,
): Promise<RotationKeys> {
  const [row] = await me<{ user_id: string; pds_did: Did; rotation_public_key: string | null }>`
    SELECT m.user_id, m.pds_did, m.rotation_public_key
    FROM user_pds_mapping m WHERE m.user_id = me.id AND m.status = 'active'`;
  if (row === undefined) throw apiError('IDENTITY_NOT_READY');
  if (row.rotation_public_key === null) throw apiError('NO_ROTATION_KEYS');
  await limitUse(sql, 'getRotationKeys', row.user_id, LIMIT);
  const ours = `did:key:${row.rotation_public_key}`;
  return rotationKeysOf(await readLog(directory, row.pds_did), { ours, now: now() });
}

/** The log of a DID for a member who waits for it. Throws `PLC_UNAVAILABLE` (503). */
export async function readLog(directory: PlcDirectory, did: Did): Promise<PlcLog> {
  try {
    return await readPlcLog(directory, did);
  } catch (cause) {
    if (!(cause instanceof PlcError)) throw cause;
    throw apiError('PLC_UNAVAILABLE', { cause });
  }
}

/** Whose a rotation key is. A PDS lists its own when it makes a DID, beside the one that it was given: ours. */
export function holderOf(
  didKey: string,
  { genesis }: PlcLog,
  ours: string,
): RotationKeys['rotation_keys'][number]['holder'] {
  if (didKey === ours) return 'service';
  return genesis.rotationKeys.includes(didKey) ? 'pds' : 'member';
}

export function rotationKeysOf(log: PlcLog, { ours, now }: { ours: string; now: Date }): RotationKeys {
  const undoableUntil = log.undoableSince && new Date(log.undoableSince.getTime() + RECOVERY_WINDOW_MS);
  return {
    pds_did: log.did,
    rotation_keys: (log.data?.rotationKeys ?? []).map((did_key) => ({
      did_key,
      holder: holderOf(did_key, log, ours),
    })),
    undoable_until: undoableUntil && undoableUntil > now ? undoableUntil.toISOString() : null,
    statement: statementFor(log.did, ''),
    explanation: EXPLANATION,
  };
}
