import * as z from 'zod/mini';
import { AppError } from '../../app-error.ts';
import type { Did } from '../../brands.ts';
import type { PlcData } from './data.ts';
import { anyOperation, cidOf, dataOf, didOf, signerOf } from './operation.ts';

/** The audit log of a DID as the directory shows it: `GET /{did}/log/audit`. */
export const auditLog = z
  .array(
    z.object({
      cid: z.string(),
      nullified: z.boolean(),
      createdAt: z.iso.datetime(),
      operation: anyOperation,
    }),
  )
  .check(z.minLength(1));

/** What the log of a DID comes to. */
export type PlcLog = {
  did: Did;
  /** The CID of the last operation: the `prev` of the next one. */
  head: string;
  /**
   * When the directory took the newest operation that a key above its signer may undo, and all that came after it with
   * it; undefined if each was signed by the top key of its time. https://web.plc.directory/spec/v0.1/did-plc#key-rotation--account-recovery
   */
  undoableSince: Date | undefined;
  /** What holds now; undefined once the DID has ended. */
  data: PlcData | undefined;
  /** What held at first: the keys in it are those of who made the DID, and the recovery key that he was given. */
  genesis: PlcData;
  /** The rotation keys that came with a PDS: with the one that made the DID, and with each that it moved to. */
  pdsKeys: readonly string[];
};

/**
 * Follows a log from the operation that makes the DID to the last one. Every operation must name the one before and
 * be signed by one of its rotation keys, so a directory can leave operations out but make none up.
 * Throws `PLC_LOG_INVALID`.
 */
export function followLog(did: Did, entries: z.output<typeof auditLog>): PlcLog {
  let log: PlcLog | undefined;
  for (const { cid, nullified, createdAt, operation } of entries) {
    if (nullified) continue;
    if (cidOf(operation) !== cid) throw invalid('an operation is not the one that its CID names');
    const signers = (log ? log.data : dataOf(operation))?.rotationKeys ?? [];
    const signer = signerOf(operation, signers);
    if (signer === undefined) throw invalid('an operation is not signed by who may');
    if (operation.prev !== (log?.head ?? null)) throw invalid('an operation does not follow the one before');
    const data = dataOf(operation);
    const genesis: PlcData | undefined = log?.genesis ?? data;
    if (genesis === undefined || (!log && didOf(operation) !== did))
      throw invalid('it is the log of another DID');
    const isUndoable = log !== undefined && signer !== signers[0];
    const undoableSince: Date | undefined = isUndoable ? new Date(createdAt) : log?.undoableSince;
    const pdsKeys: readonly string[] = [...(log?.pdsKeys ?? []), ...keysOfNewPds(log?.data, data)];
    log = { did, head: cid, undoableSince, data, genesis, pdsKeys };
  }
  if (!log) throw invalid('it is empty');
  return log;
}

/** Whoever changes the PDS brings the keys of the new one in the same operation. */
function keysOfNewPds(before: PlcData | undefined, after: PlcData | undefined): readonly string[] {
  const endpoint = after?.services.atproto_pds?.endpoint;
  if (!after || endpoint === before?.services.atproto_pds?.endpoint) return [];
  return after.rotationKeys.filter((key) => !before?.rotationKeys.includes(key));
}

function invalid(reason: string): AppError {
  return new AppError('PLC_LOG_INVALID', `The PLC directory shows a log that does not hold: ${reason}.`);
}
