import path from 'node:path';
import { readSettings } from '../../lib/config.ts';
import { migrate } from '../../lib/db/migrate.ts';
import { openLog } from '../../lib/observability/log.ts';

const log = openLog('migrate');
const owner = await readSettings(['DATABASE_URL']);
const api = await readSettings(['DATABASE_URL'], roleEnvironment('API'));
const worker = await readSettings(['DATABASE_URL'], roleEnvironment('WORKER'));

/** Runs before the API is deployed (a CDK Trigger): the schema first, then the code that needs it. */
export async function handler(): Promise<{ applied: string[] }> {
  const applied = await migrate({
    ownerUrl: owner.DATABASE_URL,
    directory: path.join(import.meta.dirname, 'migrations'),
    rolePasswords: { api: passwordOf(api.DATABASE_URL), worker: passwordOf(worker.DATABASE_URL) },
    log: (line) => log.info(line),
  });
  return { applied };
}

/** The roles' URLs are given as API_DATABASE_URL and WORKER_DATABASE_URL, or as …_SECRET_ARN. */
function roleEnvironment(role: 'API' | 'WORKER') {
  return {
    DATABASE_URL: process.env[`${role}_DATABASE_URL`],
    DATABASE_URL_SECRET_ARN: process.env[`${role}_DATABASE_URL_SECRET_ARN`],
  };
}

function passwordOf(databaseUrl: string): string {
  return decodeURIComponent(new URL(databaseUrl).password);
}
