import type { Did } from '../../brands.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import type { PlcDirectory } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';

export type Holder = 'member' | 'service' | 'pds';
export type RotationKeys = {
  /** In order of power. */
  rotation_keys: { did_key: string; holder: Holder }[];
  /** Until when a key can undo what one below it has signed; null when none can. */
  undoable_until: string | null;
};

/** https://web.plc.directory/spec/v0.1/did-plc#key-rotation--account-recovery */
const RECOVERY_WINDOW_MS = 72 * 3600_000;

/** The log of a DID for a member who waits for it. Throws `PLC_UNAVAILABLE` (503). */
export async function readLog(directory: PlcDirectory, did: Did): Promise<PlcLog> {
  try {
    return await readPlcLog(directory, did);
  } catch (cause) {
    if (!(cause instanceof PlcError)) throw cause;
    throw apiError('PLC_UNAVAILABLE', { cause });
  }
}

/** Whose a rotation key is. A PDS lists its own beside ours, when it makes a DID and when somebody moves to it. */
export function holderOf(didKey: string, { pdsKeys }: Pick<PlcLog, 'pdsKeys'>, ours: string): Holder {
  if (didKey === ours) return 'service';
  return pdsKeys.includes(didKey) ? 'pds' : 'member';
}

export function rotationKeysOf(log: PlcLog, { ours, now }: { ours: string; now: Date }): RotationKeys {
  const undoableUntil = log.undoableSince && new Date(log.undoableSince.getTime() + RECOVERY_WINDOW_MS);
  return {
    rotation_keys: (log.data?.rotationKeys ?? []).map((did_key) => ({
      did_key,
      holder: holderOf(did_key, log, ours),
    })),
    undoable_until: undoableUntil && undoableUntil > now ? undoableUntil.toISOString() : null,
  };
}
