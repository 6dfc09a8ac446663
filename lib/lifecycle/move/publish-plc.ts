import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import type { RecommendedCredentials } from '../../pds/client/identity.ts';
import { submitOperation } from '../../pds/plc/directory.ts';
import { askDirectory, ourRotationKey, readOwnLog } from '../../provisioning/plc/directory.ts';
import { signWithOurKey } from '../../provisioning/plc/operate.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { type Run, reserved } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { hold } from '../changes/hold.ts';
import { waitOut } from '../changes/wait-out.ts';
import { expectNotCancelled } from './cancelled.ts';
import { NO_WAY_BACK } from './progress.ts';

const SUBMITTED = 'plc_submitted_at';
const ENDPOINT = 'plc_endpoint';

/**
 * Has the PLC directory name a PDS, its repo key and its rotation keys, by an operation that our rotation key signs. The
 * member's own stay where they are, and those of the PDS before go. Whatever the directory answers, what holds is read
 * from its log: an answer that got lost is no failure, and nothing is signed twice. `submitting` comes right before it is
 * sent. One that comes late changes nothing any more: its place in the log is taken, and our key undoes nothing of its own.
 */
export async function publishInDirectory(
  run: Run,
  recommended: RecommendedCredentials,
  submitting: () => Promise<void>,
): Promise<void> {
  const { vault, identity } = run;
  await hold(run);
  const before = await readOwnLog(run);
  if (namesPds(before.data, recommended)) return;
  const data = withNewPds(before, ourRotationKey(run), recommended);
  if (data === undefined) throw notOurs();
  const operation = await signWithOurKey(vault, { signer: identity, log: before, data });
  await submitting();
  await hold(run);
  const refusal = await askDirectory(run, (directory) =>
    submitOperation(directory, reserved(run).pds_did, operation),
  );
  const after = await readOwnLog(run);
  if (namesPds(after.data, recommended)) return;
  throw new ProvisioningError(
    'MOVE_REFUSED_BY_PLC',
    'The PLC directory did not take the change of your DID. It takes 10 operations on a DID an hour and 30 a day: try again tomorrow.',
    { retryable: true, cause: refusal },
  );
}

/** On the way there: from now on the directory may name the new PDS. Throws Cancelled while there still is a choice. */
export async function noteSubmission(
  run: Run,
  change: Change,
  { endpoint }: RecommendedCredentials,
): Promise<void> {
  await run.sql.begin(async (tx) => {
    await expectNotCancelled(tx, change);
    const progress = { [SUBMITTED]: run.now().toISOString(), [ENDPOINT]: endpoint };
    await advance(tx, run, change, { progress });
  });
}

/** Come home, what was submitted on the way there says nothing any more. */
export const NOT_SUBMITTED = { [SUBMITTED]: null, [NO_WAY_BACK]: false };

/**
 * Whether the directory names the new PDS already, so that there is no way back: asked before anything is taken back. Throws
 * Parked as long as that is not known, or an operation of ours may still be on its way.
 */
export async function hasLeft(run: Run, change: Change): Promise<boolean> {
  const submittedAt = timeOf(change, SUBMITTED);
  if (submittedAt === undefined) return false;
  await hold(run);
  const { data } = await readOwnLog(run);
  if (data.services.atproto_pds?.endpoint === change.progress[ENDPOINT]) return true;
  waitOut(run, submittedAt, 'move_unfinished');
  return false;
}

function namesPds(
  { services, verificationMethods, rotationKeys }: PlcData,
  recommended: RecommendedCredentials,
): boolean {
  return (
    services.atproto_pds?.endpoint === recommended.endpoint &&
    verificationMethods.atproto === recommended.repoKey &&
    recommended.rotationKeys.every((key) => rotationKeys.includes(key))
  );
}

/** Undefined when our key is not among those that may sign. The new PDS's keys stand where the old one's stood: last. */
function withNewPds(
  { data, pdsKeys }: PlcLog & { data: PlcData },
  ours: string,
  { repoKey, endpoint, rotationKeys: theirs }: RecommendedCredentials,
): PlcData | undefined {
  if (!data.rotationKeys.includes(ours)) return undefined;
  const kept = data.rotationKeys.filter(
    (key) => key === ours || !(pdsKeys.includes(key) || theirs.includes(key)),
  );
  return {
    ...data,
    rotationKeys: [...kept, ...theirs.filter((key) => !kept.includes(key))],
    verificationMethods: { ...data.verificationMethods, atproto: repoKey },
    services: { ...data.services, atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint } },
  };
}

function notOurs(): ProvisioningError {
  return new ProvisioningError(
    'ROTATION_KEYS_NOT_OURS',
    'Our key is not among the rotation keys of your DID any more, so that only you can move it.',
  );
}
