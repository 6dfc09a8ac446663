import { readFileSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { logExport } from '../../lib/audit/api.ts';
import { verifyExport } from '../../lib/audit/export.ts';
import type { Fault } from '../../lib/audit/verify.ts';
import { type LogVerdict, verifyLog } from '../../lib/audit/verify-log.ts';
import { connect } from '../../lib/db/connect.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run audit:verify -- [FILE | --database URL] [--data FOLDER]
  FILE            verifies a member's log, as GET /api/pds/provisioning-log/export gives it to him
  --database URL  verifies the log of this database (postgres://…), as a role that may read it
  --data FOLDER   without either: verifies the log of the platform that runs on this folder (.data)
Ends with 0 when every entry holds, with 1 when one does not, with 2 when that cannot be found out.`;

const BROKEN = 1;
const NOT_VERIFIED = 2;

/** What is wrong with an entry, for people. */
const FAULTS: Readonly<Record<Fault, string>> = {
  missing: 'it is not there: deleted, or moved to another place',
  prev_hash: 'it does not follow from the entry before it: one of the two was changed',
  row: 'it was changed: id, action, status, error code, author, time, a commitment or its hash',
  user_id: 'its user id is not the one that was written',
  details: 'its details are not those that were written',
  error_message: 'its error message is not the one that was written',
  created_by: 'its author was taken out',
  erasure: 'the key to it is gone, without a complete erasure',
};

const { data, database, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' } },
  optional: ['FILE'],
});
const [file] = operands;
if (file !== undefined && database !== undefined) refuse(USAGE, 'Give a FILE or a --database, not both.');
if (database !== undefined && !/^postgres(ql)?:\/\//.test(database))
  refuse(USAGE, '--database takes a postgres:// URL.');
try {
  const verdict =
    file === undefined ? await verifyDatabase(database ?? (await ownDatabase())) : verifyFile(file);
  print(verdict);
  if (verdict.broken) process.exitCode = BROKEN;
} catch (error) {
  fail(error, NOT_VERIFIED);
}

async function ownDatabase(): Promise<string> {
  return (await findPlatform(path.resolve(data))).databaseUrls.owner;
}

/** In one snapshot, for as long as it takes. */
async function verifyDatabase(url: string): Promise<LogVerdict> {
  const sql = connect(url, { applicationName: 'audit-verify' });
  try {
    return await sql.begin('isolation level repeatable read read only', async (tx) => {
      await tx`SET LOCAL statement_timeout = 0`;
      return verifyLog(tx);
    });
  } catch (cause) {
    const { message } = cause as Error;
    // Without its password.
    throw new AppError('LOG_UNREADABLE', `The log at ${new URL(url).host} cannot be read: ${message}`, {
      cause,
    });
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A bare export, or the answer that it came in. */
function verifyFile(name: string): LogVerdict {
  const content = readJson(name);
  const { success, data, error } = logExport.safeParse(isAnswer(content) ? content.data : content);
  if (success) return verifyExport(data);
  const place = error.issues[0]?.path.join('.');
  throw new AppError('LOG_UNREADABLE', `${name} is no exported log${place ? `: see ${place}` : ''}.`);
}

function readJson(name: string): unknown {
  try {
    return JSON.parse(readFileSync(name, 'utf8'));
  } catch (cause) {
    throw new AppError('LOG_UNREADABLE', `${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function isAnswer(content: unknown): content is { data: unknown } {
  return typeof content === 'object' && content !== null && 'success' in content && 'data' in content;
}

function print({ members, entries, broken }: LogVerdict): void {
  const counts = `${entries} ${entries === 1 ? 'entry' : 'entries'} of ${members} ${members === 1 ? 'member' : 'members'}`;
  if (!broken) {
    console.log(`Intact: ${counts}.`);
    return;
  }
  const { pnptvUuid, seq, id, fault } = broken;
  console.log(`BROKEN at entry ${seq}${id === null ? '' : ` (id ${id})`} of ${pnptvUuid}: ${FAULTS[fault]}.`);
  console.log(`Before it: ${counts} hold.`);
}
