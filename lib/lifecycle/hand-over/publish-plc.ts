import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { askDirectory, ourRotationKey, readOwnLog } from '../../provisioning/plc/directory.ts';
import { operate } from '../../provisioning/plc/operate.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import type { Run } from '../../provisioning/run.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { holderOf } from '../rotation-key/show.ts';
import type { TargetProblem } from './target.ts';
import { wishOf } from './wish.ts';

/** https://web.plc.directory/spec/v0.1/did-plc */
const MOST_ROTATION_KEYS = 5;

/** Whether somebody has seen to it that the directory names the new PDS (`done`), or we can (`us`), or what stands in the way. */
export async function whoPublishes(run: Run, change: Change): Promise<'done' | 'us' | TargetProblem> {
  const log = await readOwnLog(run);
  if (isPublished(log.data, change)) return 'done';
  if (!log.data.rotationKeys.includes(ourRotationKey(run)) || run.identity.rotation_key_sealed === null)
    return 'ROTATION_KEYS_NOT_OURS';
  return newData(run, log, change).rotationKeys.length > MOST_ROTATION_KEYS ? 'ROTATION_KEYS_TOO_MANY' : 'us';
}

/**
 * Has the PLC directory name the new PDS, his key there and his handle, unless a key of the member's has done so: signed by
 * our rotation key, which stays below his; those of the old PDS give way to those of the new one. What holds is read from
 * the log, so an answer that got lost is none. Returns what stands in the way, if anything does: only a key that is not ours
 * could sign, or the directory takes no more operations for now. Throws Parked while it is down.
 */
export async function publishPlc(run: Run, change: Change): Promise<TargetProblem | undefined> {
  await hold(run);
  const publisher = await whoPublishes(run, change);
  if (publisher !== 'us') return publisher === 'done' ? undefined : publisher;
  const log = await readOwnLog(run);
  const wanted = { signer: run.identity, log, data: newData(run, log, change) };
  await hold(run);
  const refusal = await askDirectory(run, (directory) => operate(run.vault, directory, wanted));
  if (refusal) run.log.warn('the PLC directory refuses what hands a member over', { error: refusal });
  return isPublished((await readOwnLog(run)).data, change) ? undefined : 'PLC_REFUSED';
}

/** Who has ended his DID himself is told so, and held no longer than others. */
export function asObstacle(error: unknown): TargetProblem {
  if (error instanceof ProvisioningError && error.code === 'DID_ENDED') return 'DID_ENDED';
  throw error;
}

function newData(run: Run, log: PlcLog & { data: PlcData }, change: Change): PlcData {
  const { endpoint, atprotoKey, handle, rotationKeys } = wishOf(change);
  const ours = ourRotationKey(run);
  const { data } = log;
  // Who names another key or handle at the PDS where he is by now need not name that one's keys again.
  const stays = rotationKeys.length === 0 && endpoint === data.services.atproto_pds?.endpoint;
  const kept = data.rotationKeys.filter((key) => stays || holderOf(key, log, ours) !== 'pds');
  return {
    rotationKeys: [...new Set([...kept, ...rotationKeys])],
    verificationMethods: { ...data.verificationMethods, atproto: atprotoKey },
    alsoKnownAs: handle === null ? data.alsoKnownAs : [`at://${handle}`],
    services: { ...data.services, atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint } },
  };
}

function isPublished(data: PlcData, change: Change): boolean {
  const { rotationKeys, services, verificationMethods, alsoKnownAs } = data;
  const wish = wishOf(change);
  return (
    (wish.handle === null || alsoKnownAs[0] === `at://${wish.handle}`) &&
    services.atproto_pds?.endpoint === wish.endpoint &&
    verificationMethods.atproto === wish.atprotoKey &&
    wish.rotationKeys.every((key) => rotationKeys.includes(key))
  );
}
