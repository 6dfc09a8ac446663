import { AppError } from '../../app-error.ts';
import type { Did } from '../../brands.ts';
import { auditLog, followLog, type PlcLog } from '../../identity/plc/log.ts';
import { ask, type PlcDirectory } from './directory.ts';
import { PlcError } from './plc-error.ts';

const DOING = 'read the log';

/** The log of a did:plc, followed and checked from its beginning. Throws PlcError: `not_found` when there is none. */
export async function readPlcLog(directory: PlcDirectory, did: Did): Promise<PlcLog> {
  return (await readPlcEntries(directory, did)).log;
}

/** The same, and its entries as the directory writes them. */
export async function readPlcEntries(
  directory: PlcDirectory,
  did: Did,
): Promise<{ entries: unknown; log: PlcLog }> {
  const answer = await ask(directory, DOING, `/${did}/log/audit`);
  const entries = auditLog.safeParse(answer);
  if (!entries.success) throw new PlcError(DOING, 'malformed');
  try {
    return { entries: answer, log: followLog(did, entries.data) };
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new PlcError(DOING, 'malformed', { detail: cause.message, cause });
  }
}
