import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { notifyOperators } from '../../operators/notify.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { askDirectory, ourRotationKey, readOwnLog } from '../../provisioning/plc/directory.ts';
import { operate } from '../../provisioning/plc/operate.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { sealForMapping } from '../../provisioning/secrets.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { holdOn } from '../changes/hold.ts';
import { backUpCredentials } from '../custody/backup.ts';
import { type Found, foundBy, openMade } from './made.ts';
import { listMemberKey, readNextKeyId, settlingFrom } from './publish.ts';

/** The directory takes 10 operations on a DID an hour, and 30 a day. https://web.plc.directory/spec/v0.1/did-plc */
const REFUSED_FOR_MS = 3600_000;

/**
 * prepared → published, of a did:plc: one operation, signed by our rotation key, puts the new one in its place, below the
 * member's own if he has one, and the member's new key beside the old, where the directory takes such. Whatever is
 * answered, the log tells what holds. When the member has taken our key out, nothing of this is ours to change.
 */
export async function publishPlc(run: Run, change: Change): Promise<void> {
  await holdOn(run);
  const { member_key = '', rotation_key } = foundBy(change);
  const ours = ourRotationKey(run);
  const fresh = `did:key:${rotation_key}`;
  const log = await readOwnLog(run);
  if (!log.data.rotationKeys.includes(fresh)) {
    if (!log.data.rotationKeys.includes(ours)) {
      return advance(run.sql, run, change, { step: 'published', progress: { not_ours: true } });
    }
    const keyId = await readNextKeyId(run.sql, run.identity);
    await advance(run.sql, run, change, { progress: { handed_in: true } satisfies Found });
    await replaceKeys(run, log, { ours, fresh, keyId, memberKey: `did:key:${member_key}` });
  }
  await keepPublished(run, change, member_key);
}

type Keys = { ours: string; fresh: string; keyId: string; memberKey: string };

async function replaceKeys(run: Run, log: PlcLog & { data: PlcData }, keys: Keys): Promise<void> {
  const { vault, identity: signer } = run;
  const { data } = log;
  const withOurs = {
    ...data,
    rotationKeys: data.rotationKeys.map((key) => (key === keys.ours ? keys.fresh : key)),
  };
  const verificationMethods = { ...data.verificationMethods, [keys.keyId]: keys.memberKey };
  const wishes = [{ ...withOurs, verificationMethods }, withOurs];
  for (const wish of wishes) {
    const refusal = await askDirectory(run, (directory) =>
      operate(vault, directory, { signer, log, data: wish }),
    );
    // What it refuses now it may have taken before: then its answer had been lost.
    const after = await readOwnLog(run);
    if (after.data.rotationKeys.includes(keys.fresh)) return;
    if (!refusal || after.head !== log.head) break;
    run.log.info('the PLC directory does not take the operation');
  }
  // What a request that got no answer may still do, nobody knows: so it is not given up, or the key in it would be lost.
  await notifyOperators(run.sql, { kind: 'plc_operation_refused', subject: run.identity.pnptv_uuid });
  throw new Parked('plc_refused', new Date(run.now().getTime() + REFUSED_FOR_MS));
}

/** From here on our new rotation key is the one that counts, so it is stored at once; the one before stays in a backup. */
async function keepPublished(run: Run, change: Change, memberKey: string): Promise<void> {
  const { sql, vault, identity, now } = run;
  const rotationKey = await openMade(run, change, 'rotation_key');
  const sealed = await sealForMapping(
    vault,
    identity.data_key_id ?? '',
    identity,
    'rotation_key_sealed',
    rotationKey,
  );
  rotationKey.fill(0);
  await sql.begin(async (tx) => {
    await listMemberKey(tx, run, memberKey);
    await backUpCredentials({ tx, vault }, identity.user_id, 'recovery');
    await updateIdentity(tx, identity, {
      rotation_key_sealed: sealed,
      rotation_public_key: foundBy(change).rotation_key ?? null,
      ...settlingFrom(now(), identity),
    });
    // What is waited for from here on is the PDS.
    await advance(tx, run, change, { step: 'published', progress: { kept_since: null } });
  });
}
