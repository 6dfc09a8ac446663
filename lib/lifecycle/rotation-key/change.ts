import type { Did } from '../../brands.ts';
import type { Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { signOperation } from '../../identity/plc/operation.ts';
import { type PlcDirectory, submitOperation } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import { readLog } from './show.ts';

export type ChangeDeps = {
  /** With at least two connections: see `backUpCredentials`. */
  sql: Sql;
  vault: Vault;
  directory: PlcDirectory;
  now: () => Date;
};

/** A member with a did:plc, and what it takes to change it. */
export type PlcOwner = {
  user_id: string;
  pnptv_uuid: string;
  pds_did: Did;
  rotation_key_sealed: string;
  rotation_public_key: string;
  credential_version: number;
};

type Change = {
  owner: PlcOwner;
  /** The operation that was the last one when the member asked. */
  head: string;
  /** What the DID is to come to; undefined when it does already. */
  next: (log: PlcLog) => PlcData | undefined;
};

/**
 * Signs with our rotation key what the member wants of his rotation keys, and hands it in. Whatever the directory answers, what
 * holds is read from its log afterwards: an answer that got lost is no failure. Returns that log.
 *
 * Throws `ROTATION_KEYS_NOT_OURS` and `ROTATION_KEYS_CHANGED` (409), `PLC_REFUSED` (409) and `PLC_UNAVAILABLE` (503).
 */
export async function changeRotationKeys(
  { vault, directory }: ChangeDeps,
  { owner, head, next }: Change,
): Promise<PlcLog> {
  const { pds_did: did, rotation_key_sealed: sealed } = owner;
  const rotationKey = await openFromMapping(vault, owner, 'rotation_key_sealed', sealed);
  try {
    // As late as can be: put on anything but the last operation, ours would undo what a weaker key signed after that.
    const before = await readLog(directory, did);
    const data = next(before);
    if (data === undefined) return before;
    if (before.head !== head) throw apiError('ROTATION_KEYS_CHANGED');
    const failure = await submitOperation(directory, did, signOperation(data, head, rotationKey)).catch(
      plcError,
    );
    const after = await readLog(directory, did);
    if (after.head !== head) {
      if (next(after) === undefined) return after;
      throw apiError('ROTATION_KEYS_CHANGED', { cause: failure });
    }
    throw apiError(failure?.fault === 'refused' ? 'PLC_REFUSED' : 'PLC_UNAVAILABLE', { cause: failure });
  } finally {
    rotationKey.fill(0);
  }
}

function plcError(error: unknown): PlcError {
  if (error instanceof PlcError) return error;
  throw error;
}
