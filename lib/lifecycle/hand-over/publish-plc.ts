import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { signOperation } from '../../identity/plc/operation.ts';
import { submitOperation } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { askDirectory, ourRotationKey, readOwnLog } from '../../provisioning/plc/directory.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import type { Change } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { holderOf } from '../rotation-key/show.ts';
import { LOOK_EVERY_MS } from './times.ts';
import { wishOf } from './wish.ts';

/** Who sees to it that the directory names the new PDS: somebody has (`done`), we can (`us`), or a key that is not ours must. */
export async function whoPublishes(run: Run, change: Change): Promise<'done' | 'us' | 'nobody'> {
  const log = await readOwnLog(run);
  if (isPublished(log.data, change)) return 'done';
  return log.data.rotationKeys.includes(ourRotationKey(run)) && run.identity.rotation_key_sealed !== null
    ? 'us'
    : 'nobody';
}

/**
 * Has the PLC directory name the new PDS, his key there and his handle, unless a key of the member's has done so: signed
 * by our rotation key, which stays below his; those of the old PDS give way to those of the new one. What holds is read from the log, so an answer that
 * got lost is none. While the directory is down, has had enough operations for now, or only a key that is not ours could
 * sign, it waits: by now there is no way back.
 */
export async function publishPlc(run: Run, change: Change): Promise<void> {
  await hold(run);
  const log = await readOwnLog(run);
  if (isPublished(log.data, change)) return;
  const { vault, identity } = run;
  const { rotation_key_sealed: sealed } = identity;
  if (sealed === null || !log.data.rotationKeys.includes(ourRotationKey(run))) throw later(run);
  const rotationKey = await openFromMapping(vault, identity, 'rotation_key_sealed', sealed);
  const operation = signOperation(newData(run, log, change), log.head, rotationKey);
  rotationKey.fill(0);
  await hold(run);
  await askDirectory(run, async (directory) => {
    try {
      await submitOperation(directory, reserved(run).pds_did, operation);
    } catch (error) {
      if (!(error instanceof PlcError) || error.fault !== 'refused') throw error;
      run.log.warn('the PLC directory refuses what hands a member over', { error });
      throw later(run);
    }
  });
  if (!isPublished((await readOwnLog(run)).data, change)) throw later(run);
}

function newData(run: Run, log: PlcLog & { data: PlcData }, change: Change): PlcData {
  const { endpoint, atprotoKey, handle, rotationKeys } = wishOf(change);
  const ours = ourRotationKey(run);
  const { data } = log;
  const kept = data.rotationKeys.filter((key) => holderOf(key, log, ours) !== 'pds');
  return {
    rotationKeys: [...kept, ...rotationKeys.filter((key) => !kept.includes(key))],
    verificationMethods: { ...data.verificationMethods, atproto: atprotoKey },
    alsoKnownAs: handle === null ? data.alsoKnownAs : [`at://${handle}`],
    services: { ...data.services, atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint } },
  };
}

function isPublished({ rotationKeys, services, verificationMethods }: PlcData, change: Change): boolean {
  const wish = wishOf(change);
  return (
    services.atproto_pds?.endpoint === wish.endpoint &&
    verificationMethods.atproto === wish.atprotoKey &&
    wish.rotationKeys.every((key) => rotationKeys.includes(key))
  );
}

function later({ now }: Run): Parked {
  return new Parked('member', new Date(now().getTime() + LOOK_EVERY_MS));
}
