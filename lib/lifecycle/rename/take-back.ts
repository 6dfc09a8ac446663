import { giveUpHandle, returnHandle } from '../../identity/change-handle.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { endTakenBack } from '../changes/or-take-back.ts';
import { isWornOut } from '../changes/patience.ts';
import { waitOut } from '../changes/wait-out.ts';
import { namesOf } from './names.ts';
import { isNamed, tellPds } from './tell-pds.ts';

/**
 * taking_back → failed, or cancelled: our document names the old handle again, so does the PDS, should it have heard of
 * the new one, and that one is free again, or stands as it did before; where the PDS cannot be told and perhaps goes by it,
 * it is kept from everybody else for as long as one that was given up. Until it is certain what the PDS goes by, both names
 * lead to the DID.
 */
export async function takeBack(run: Run, change: Change): Promise<void> {
  const { sql, identity, now } = run;
  const { user_id: userId, pds_did: did } = reserved(run);
  const { from, to, before } = namesOf(change);
  const isTaken = from !== undefined;
  let isFree = true;
  if (isTaken) {
    if (identity.did_method === 'web' && identity.pds_handle !== from) {
      await updateIdentity(sql, identity, { pds_handle: from });
    }
    isFree = await tellPdsBack(run, change);
  }
  const settled = { pds_handle: from, document_settles_at: new Date(now().getTime() + SETTLING_MS) };
  await sql.begin(async (tx) => {
    const name = { userId, did, handle: to };
    if (isTaken && isFree) await returnHandle(tx, { ...name, before });
    if (!isFree) await giveUpHandle(tx, { ...name, now: now(), graceDays: 0 });
    const audit = { action: 'updated', details: { change: 'handle', handle: to } } as const;
    await endTakenBack(tx, run, change, { audit, ...(isTaken && { identity: settled }) });
  });
}

/**
 * A PDS that lets us in no more, or is silent for good, cannot be told anything; what it goes by is then not ours to say.
 * But a name that it has put into the log of a did:plc is given to nobody: that is waited for as long as it takes. False
 * when it may go by the new one.
 */
async function tellPdsBack(run: Run, change: Change): Promise<boolean> {
  const sentAt = timeOf(change, 'sent_at');
  if (sentAt === undefined) return true;
  waitOut(run, sentAt);
  const { from, to } = namesOf(change);
  try {
    await tellPds(run, change, from);
    return true;
  } catch (error) {
    const isFinal = error instanceof ProvisioningError && !error.retryable;
    if (!isFinal && !isRejection(error)) {
      if (!(await isWornOut(run, change, error)) || (await isNamed(run, to))) throw error;
    }
    run.log.warn('the PDS cannot be told of the old handle', { error });
    return false;
  }
}
