import path from 'node:path';
import { connect } from '../../lib/db/connect.ts';
import { callBack } from '../../lib/lifecycle/move/call-back.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run move:back -- USER_ID [--database URL] [--data FOLDER]
  USER_ID         Telegram id of a member who is on his way to another PDS
  --database URL  in this database (postgres://…), as its owner
  --data FOLDER   without it: in that of the platform that runs on this folder (.data)
Has him come back to the PDS where he was, also from one that is gone for good: what he has written there since is only
there. Workers begin within a minute; how it stands says GET /api/admin/changes.`;

const { data, database, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' } },
  operands: ['USER_ID'],
});
const [userId = ''] = operands;
try {
  await moveBack(database ?? (await findPlatform(path.resolve(data))).databaseUrls.owner);
  console.log(`${userId} comes back to the PDS where he was, as soon as that answers.`);
} catch (error) {
  fail(error);
}

async function moveBack(url: string): Promise<void> {
  const sql = connect(url, { applicationName: 'move-back' });
  try {
    await callBack(sql, userId);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
