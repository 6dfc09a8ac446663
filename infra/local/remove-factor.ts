import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { removeFactor } from '../../lib/auth/second-factor/remove.ts';
import { connect } from '../../lib/db/connect.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run 2fa:remove -- USER_ID [--database URL] [--data FOLDER]
  USER_ID         Telegram id of a member who has lost his phone and his recovery codes
  --database URL  in this database (postgres://…), as its owner
  --data FOLDER   without it: in that of the platform that runs on this folder (.data)
Removes his second factor and ends his sessions, and says so in his audit log. Be sure that it is he who asks.`;

const { data, database, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' } },
  operands: ['USER_ID'],
});
const [userId = ''] = operands;
try {
  await remove(database ?? (await findPlatform(path.resolve(data))).databaseUrls.owner);
  console.log(
    `Removed the second factor of ${userId}. He is logged out, and may set up another one after a login.`,
  );
} catch (error) {
  fail(error);
}

async function remove(url: string): Promise<void> {
  const sql = connect(url, { applicationName: '2fa-remove' });
  try {
    await sql.begin(async (tx) => {
      await removeFactor(tx, { userId, by: 'operator' });
      await tx`UPDATE sessions SET revoked_at = now() WHERE user_id = ${userId} AND revoked_at IS NULL`;
    });
  } catch (error) {
    if (error instanceof AppError && error.code === 'TOTP_NOT_ENROLLED')
      throw new AppError('NO_FACTOR', `Nobody with the Telegram id ${userId} has a second factor.`);
    throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
