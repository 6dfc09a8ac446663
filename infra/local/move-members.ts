import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { connect } from '../../lib/db/connect.ts';
import { emptyProvider } from '../../lib/lifecycle/move/empty.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run move -- FROM TO [USER_ID] [--limit N] [--database URL] [--data FOLDER]
  FROM, TO        PDSs by their ids in pds_providers, such as local or remote:pds.example.org
  USER_ID         only the member with this Telegram id; without it everybody who lives on FROM
  --limit N       so many at most, the oldest first (default 100): repeat it until nobody is left
  --database URL  in this database (postgres://…), as its owner
  --data FOLDER   without it: in that of the platform that runs on this folder (.data)
Has members move to another PDS. Workers begin within a minute; who is under way stands in pds_changes.`;

const { data, database, limit, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' }, limit: { type: 'string', default: '100' } },
  operands: ['FROM', 'TO'],
  optional: ['USER_ID'],
});
const [from = '', to = '', userId] = operands;
try {
  if (!/^[1-9]\d{0,5}$/.test(limit)) throw new AppError('LIMIT_INVALID', '--limit is a number from 1 on.');
  await move(database ?? (await findPlatform(path.resolve(data))).databaseUrls.owner);
} catch (error) {
  fail(error);
}

async function move(url: string): Promise<void> {
  const sql = connect(url, { applicationName: 'move' });
  try {
    const { begun, left } = await emptyProvider(sql, {
      from,
      to,
      userId,
      limit: Number(limit),
      now: new Date(),
    });
    console.log(`${begun} of the members on ${from} move to ${to}; ${left} are left there for another time.`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
