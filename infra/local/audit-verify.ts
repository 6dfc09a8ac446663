import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { logExport } from '../../lib/audit/api.ts';
import { verifyExport } from '../../lib/audit/export.ts';
import { findChangedHead, openRoot, type SealedRoot } from '../../lib/audit/root.ts';
import type { RootStatement } from '../../lib/audit/statement.ts';
import type { Fault } from '../../lib/audit/verify.ts';
import { type LogVerdict, verifyLog } from '../../lib/audit/verify-log.ts';
import { connect } from '../../lib/db/connect.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run audit:verify -- [FILE | --database URL] [--root FILE] [--data FOLDER]
  FILE            verifies a member's log, as GET /api/pds/provisioning-log/export gives it to him, also against the
                  signed root that is in it
  --database URL  verifies the log of this database (postgres://…), as a role that may read it
  --root FILE     also verifies the log against this signed root: every head of then is still in its chain
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
  head: 'it is another one than under the signed root: the chain was written anew',
};

/** Whoever hides the end of a chain hides the root with it. */
const NO_ROOT = `No signed root is in it: nothing shows whether entries are missing at its end.
  A log is under one from the next daily root on. Download it again then, and ask why if there is still none.`;
const NO_ROOT_GIVEN = `Without --root nothing shows whether entries are missing at the end of a chain.`;

const { data, database, root, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' }, root: { type: 'string' } },
  optional: ['FILE'],
});
const [file] = operands;
if (file !== undefined && database !== undefined) refuse(USAGE, 'Give a FILE or a --database, not both.');
if (file !== undefined && root !== undefined) refuse(USAGE, 'A --root is of a database, not of a FILE.');
if (database !== undefined && !/^postgres(ql)?:\/\//.test(database))
  refuse(USAGE, '--database takes a postgres:// URL.');
try {
  const signed = root === undefined ? undefined : readRoot(root);
  const verdict =
    file === undefined ? await verifyDatabase(database ?? (await ownDatabase()), signed) : verifyFile(file);
  print(verdict);
  if (!verdict.broken && file === undefined && !signed) console.log(NO_ROOT_GIVEN);
  if (verdict.broken) process.exitCode = BROKEN;
} catch (error) {
  fail(error, NOT_VERIFIED);
}

async function ownDatabase(): Promise<string> {
  return (await findPlatform(path.resolve(data))).databaseUrls.owner;
}

/** In one snapshot, for as long as it takes. */
async function verifyDatabase(url: string, signed: SealedRoot | undefined): Promise<LogVerdict> {
  const sql = connect(url, { applicationName: 'audit-verify' });
  try {
    return await sql.begin('isolation level repeatable read read only', async (tx) => {
      await tx`SET LOCAL statement_timeout = 0`;
      const verdict = await verifyLog(tx);
      if (verdict.broken || !signed) return verdict;
      return { ...verdict, broken: await findChangedHead(tx, signed.heads) };
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

function readRoot(name: string): SealedRoot {
  const opened = openRoot(readJson(name));
  show(opened, opened.signature);
  return opened;
}

/** Says whose signature a root bears: whether to trust that key is for the reader to decide. */
function show({ created_at, members, entries }: RootStatement, { public_key, key }: Signature): void {
  const print = createHash('sha256').update(Buffer.from(public_key, 'base64')).digest('hex');
  const by = key === undefined ? '' : `, signed by ${key}`;
  console.log(`Root of ${created_at}: ${entries} entries of ${members} members${by}`);
  console.log(`  public key (SHA-256): ${print}`);
}
type Signature = { public_key: string; key?: string };

/** A bare export, or the answer that it came in. */
function verifyFile(name: string): LogVerdict {
  const content = readJson(name);
  const { success, data, error } = logExport.safeParse(isAnswer(content) ? content.data : content);
  if (success) {
    const verdict = verifyExport(data);
    if (data.root) show(data.root.statement, data.root.signature);
    else console.log(NO_ROOT);
    return verdict;
  }
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
  const counts = `${entriesIn(entries)} of ${members} ${members === 1 ? 'member' : 'members'}`;
  if (!broken) {
    console.log(`Intact: ${counts}.`);
    return;
  }
  const { pnptvUuid, seq, id, fault } = broken;
  console.log(`BROKEN at entry ${seq}${id === null ? '' : ` (id ${id})`} of ${pnptvUuid}: ${FAULTS[fault]}.`);
  console.log(`Before it: ${members === 0 ? entriesIn(entries) : counts} hold.`);
}

function entriesIn(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}
