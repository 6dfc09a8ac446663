import type { ErrorDetails } from '../../provisioning/identity.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { chooseDataKey } from '../../vault/choose-data-key.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { PLC_SILENT } from '../changes/or-take-back.ts';
import { isWornOut } from '../changes/patience.ts';
import type { Perform } from '../changes/perform.ts';
import { finish } from './finish.ts';
import { canBeDropped } from './made.ts';
import { prepare } from './prepare.ts';
import { publish } from './publish.ts';
import { publishPlc } from './publish-plc.ts';
import { renewAccess } from './renew-access.ts';

/** After a rotation that could not be done the next one is tried. */
const AGAIN_AFTER_HOURS = 24;

/**
 * Rotates what can be rotated of a member's keys: requested → prepared (all of it made, sealed and stored) → published
 * (the new key stands in the document beside the old one) → done (password and session are the new ones, and all that is
 * sealed is sealed anew). Between the last two, the PDS is asked: that is repeated until a password is proven, so there
 * is nothing to store in between.
 */
export const rotateKeys: Perform = rotating(({ vault }) => chooseDataKey(vault));

/** The same, with the data key for the new secrets chosen as `dataKeyFor` says: for many at once. */
export function rotating(dataKeyFor: (run: Run) => Promise<string>): Perform {
  return async (run, change) => {
    if (change.cancel_wanted_at !== null && canBeDropped(change)) return drop(run, change);
    if (change.step === 'requested') await prepare(run, change, await dataKeyFor(run));
    if (change.step === 'prepared') {
      try {
        await (run.identity.did_method === 'plc' ? publishPlc : publish)(run, change);
      } catch (error) {
        const reason = await hopeless(run, change, error);
        if (!reason) throw error;
        return giveUp(run, change, reason);
      }
    }
    await finish(run, change, await renewAccess(run, change));
  };
}

/**
 * Why it is given up now: a DID that has ended has no keys to rotate, and a directory that was silent for a day is not waited
 * for as long as it was asked nothing. Of all else that goes wrong it may not be known what it did.
 */
async function hopeless(run: Run, change: Change, error: unknown): Promise<ErrorDetails | undefined> {
  if (error instanceof ProvisioningError && error.code === 'DID_ENDED') {
    return { code: error.code, message: error.message };
  }
  const isSilence = error instanceof Parked && error.reason === 'plc_down' && canBeDropped(change);
  return isSilence && (await isWornOut(run, change, error)) ? PLC_SILENT : undefined;
}

/** His member does not want it now: the secrets that were made go with it. */
async function drop(run: Run, change: Change): Promise<void> {
  await run.sql.begin((tx) =>
    endChange(tx, run, change, { outcome: 'cancelled' }, { action: 'key_rotated' }),
  );
}

async function giveUp(run: Run, change: Change, { code, message }: ErrorDetails): Promise<void> {
  const { identity, now } = run;
  await run.sql.begin(async (tx) => {
    const end = { outcome: 'failed', code, message: `${message} Your keys are as they were.` } as const;
    await endChange(tx, run, change, end, { action: 'key_rotated' });
    const nextTry = new Date(now().getTime() + AGAIN_AFTER_HOURS * 3600_000);
    await tx`UPDATE user_pds_mapping SET next_key_rotation = ${nextTry} WHERE user_id = ${identity.user_id}`;
  });
}
