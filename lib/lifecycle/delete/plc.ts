import type { PlcLog } from '../../identity/plc/log.ts';
import { signOperation, signTombstone } from '../../identity/plc/operation.ts';
import { submitOperation } from '../../pds/plc/directory.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';
import { askDirectory, ourRotationKey } from '../../provisioning/plc/directory.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import { hold } from '../changes/hold.ts';
import { isUnreadable } from './account.ts';

export type DidEnd =
  /** Nobody resolves it any more. */
  | 'ended'
  /** The member has a key above ours: it is his alone now. */
  | 'left_to_member'
  /** Our key has no say in it, or is the only one of somebody who has left: it is as it was. */
  | 'not_ours';

/** The directory takes 10 operations on a DID an hour. */
const REFUSED_MS = 30 * 60_000;

/**
 * Ends a did:plc, before the key is destroyed by which we can: afterwards the PDS's key would be the only one that can
 * change it, and it would name that PDS and our handle for ever. A member who holds a key above ours goes on holding the
 * DID: ours and those below it go, and so do the handle and the PDS that are gone; whatever he makes of it is his. Of one
 * who has left for another PDS only our key goes: he lives there with this DID.
 * What holds is read from the log, so it may be repeated. Throws Parked while the directory does not answer, or refuses.
 */
export async function endPlcDid(run: Run): Promise<DidEnd> {
  const { identity, vault, now } = run;
  const { pds_did: did, rotation_key_sealed: sealed } = identity;
  const ours = ourRotationKey(run);
  await hold(run);
  const read = () => askDirectory(run, (directory) => readPlcLog(directory, did as NonNullable<typeof did>));
  const log = await read();
  const before = endOf(log, ours);
  if (before !== undefined || did === null || sealed === null) return before ?? 'not_ours';
  const key = await openFromMapping(vault, identity, 'rotation_key_sealed', sealed).catch((error) => {
    if (!isUnreadable(error)) throw error;
    run.log.warn('our rotation key does not open any more', { error });
  });
  // What nobody can open signs nothing: no reason to keep the rest of him.
  if (key === undefined) return 'not_ours';
  try {
    const operation = lastOperation(log, { ours, key, hasLeft: identity.left_at !== null });
    if (operation === undefined) return 'not_ours';
    await hold(run);
    const refusal = await askDirectory(run, (directory) => submitOperation(directory, did, operation));
    // Somebody was faster, or it was handed in before: the log tells.
    if (refusal) run.log.warn('the PLC directory refused the end of a DID', { error: refusal });
  } finally {
    key.fill(0);
  }
  const after = endOf(await read(), ours);
  if (after === undefined) throw new Parked('plc_down', new Date(now().getTime() + REFUSED_MS));
  return after;
}

function endOf({ data, pdsKeys }: PlcLog, ours: string): DidEnd | undefined {
  if (data === undefined) return 'ended';
  if (data.rotationKeys.includes(ours)) return undefined;
  // Nobody but us takes the keys of the PDS that made it away together with ours.
  const withPds = data.rotationKeys.some((key) => pdsKeys.includes(key));
  return withPds ? 'not_ours' : 'left_to_member';
}

type LastWord = { ours: string; key: Uint8Array; hasLeft: boolean };

function lastOperation({ data, head }: PlcLog, { ours, key, hasLeft }: LastWord) {
  const keys = data?.rotationKeys ?? [];
  if (hasLeft && data) {
    const others = keys.filter((one) => one !== ours);
    // Without any key nobody could change it: it stays as he has it.
    return others.length > 0 ? signOperation({ ...data, rotationKeys: others }, head, key) : undefined;
  }
  const above = keys.slice(0, keys.indexOf(ours));
  if (data === undefined || above.length === 0) return signTombstone(head, key);
  return signOperation({ ...data, rotationKeys: above, alsoKnownAs: [], services: {} }, head, key);
}
