import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { notifyOperators } from '../../operators/notify.ts';
import type { PlcDirectory } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { Parked } from '../queue/outcome.ts';
import { type Run, reserved } from '../run.ts';

const LONGEST_EXCHANGE_MS = 5_000;
const PAUSE_MS = 20_000;
const LONG_WAIT_MS = 5 * 60_000;

/**
 * Asks the PLC directory. One that is down or busy costs the member no attempt: throws Parked. One that answers what no
 * directory does is bounded by attempts: it may be about this one DID.
 */
export async function askDirectory<T>(run: Run, ask: (directory: PlcDirectory) => Promise<T>): Promise<T> {
  const { fetch, outside, times, now, random } = run;
  try {
    const timeoutMs = Math.min(times.http * 1000, LONGEST_EXCHANGE_MS);
    return await ask({ fetch, plcUrl: outside.plcUrl, timeoutMs });
  } catch (cause) {
    if (!(cause instanceof PlcError)) throw cause;
    if (cause.directoryDown) {
      run.log.info('the PLC directory does not answer', { error: cause });
      if (await hasWaitedLong(run)) {
        await notifyOperators(run.sql, { kind: 'plc_directory_down', subject: outside.plcUrl });
      }
      throw new Parked('plc_down', new Date(now().getTime() + PAUSE_MS * (0.5 + 0.5 * random.fraction())));
    }
    throw new ProvisioningError(
      'PLC_ANSWER_WRONG',
      'The PLC directory does not say of your DID what it should. If it stays, operators must check PDS_PLC_URL.',
      { retryable: true, cause },
    );
  }
}

/** One answer that does not come is no news; that somebody has waited for minutes is. */
async function hasWaitedLong({ sql, work, now }: Run): Promise<boolean> {
  const [row] = await sql`
    SELECT FROM pds_provisioning_queue
    WHERE id = ${work.queueId} AND created_at < ${new Date(now().getTime() - LONG_WAIT_MS)}`;
  return row !== undefined;
}

/** Our rotation key of this DID, as did:key. */
export function ourRotationKey({ identity }: Run): string {
  return `did:key:${identity.rotation_public_key}`;
}

/** The member's DID as the directory has it: in no state of the saga has it ended. */
export async function readOwnLog(run: Run): Promise<PlcLog & { data: PlcData }> {
  const { pds_did } = reserved(run);
  const log = await askDirectory(run, (directory) => readPlcLog(directory, pds_did));
  if (log.data === undefined) {
    throw new ProvisioningError('DID_ENDED', 'Your DID was ended in the PLC directory by a key of it.');
  }
  return { ...log, data: log.data };
}
