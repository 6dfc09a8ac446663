import path from 'node:path';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { openKeyring } from '../../lib/vault/open-vault.ts';
import { type Rewrapped, rewrapDataKeys } from '../../lib/vault/rewrap.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run rewrap -- [--database URL] [--data FOLDER]
  --database URL  the data keys in this database (postgres://…), as its owner, by the keys in the environment:
                  PDS_ENVIRONMENT; PDS_KMS_KEY_ID, or else PDS_ENCRYPTION_KEY, is the new one; PDS_KMS_OLD_KEY_IDS and
                  PDS_OLD_ENCRYPTION_KEYS (separated by commas) are those that they may lie below now
  --data FOLDER   without it: those of the platform that runs on this folder (.data), by the keys of its functions
Moves all data keys below the new key; what is sealed under them stays as it is. May be broken off and repeated.
Ends with 0 when the new key alone opens all of them, with 1 when one does not open, with 2 when it broke off.`;

const UNOPENED = 1;
const BROKEN_OFF = 2;

const { data, database } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' } },
});
try {
  const { moved, already, unopened } = await rewrap(database);
  for (const { dataKeyId, reason } of unopened) console.error(`Data key ${dataKeyId}: ${reason}.`);
  console.log(
    `Moved: ${moved}. There already: ${already}. Not opened, and left as they are: ${unopened.length}.`,
  );
  if (unopened.length > 0) process.exitCode = UNOPENED;
} catch (error) {
  fail(error, BROKEN_OFF);
}

async function rewrap(database: string | undefined): Promise<Rewrapped> {
  const platform = database === undefined ? await findPlatform(path.resolve(data)) : undefined;
  if (platform) Object.assign(process.env, platform.vault.environment, platform.vault.settings);
  const settings = await readSettings(VAULT_SETTINGS);
  const keyring = await openKeyring(settings);
  const sql = connect(database ?? platform?.databaseUrls.owner ?? '', { applicationName: 'rewrap' });
  try {
    return await rewrapDataKeys({ ...keyring, sql, environment: settings.PDS_ENVIRONMENT });
  } finally {
    await sql.end({ timeout: 1 });
  }
}
