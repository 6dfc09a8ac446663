import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';

export type TestDatabase = {
  /** Owns the schema, as migrations do; no superuser. */
  ownerUrl: string;
  apiUrl: string;
  workerUrl: string;
  /** For what only an attacker or the operator of the server could do. */
  superuserUrl: string;
  /** Removes the database, whoever is still connected. */
  drop(): Promise<void>;
};

/**
 * A database of one's own with the whole schema, empty: `const database = await freshDatabase()` in beforeAll or
 * beforeEach, `database.drop()` afterwards. Takes about 50 ms.
 * `{ migrated: false }` gives one without the schema.
 */
export async function freshDatabase(options: { migrated?: boolean } = {}): Promise<TestDatabase> {
  const { superuserUrl, template, passwords } = inject('testServer');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const source = (options.migrated ?? true) ? `TEMPLATE ${template}` : '';
  await asSuperuser(superuserUrl, `CREATE DATABASE ${name} OWNER pds_owner ${source} STRATEGY wal_log`);
  const urlOf = (username?: string, password?: string) => {
    const url = new URL(superuserUrl);
    Object.assign(url, { pathname: `/${name}`, ...(username && { username, password }) });
    return url.href;
  };
  return {
    ownerUrl: urlOf('pds_owner', passwords.owner),
    apiUrl: urlOf('pds_api', passwords.api),
    workerUrl: urlOf('pds_worker', passwords.worker),
    superuserUrl: urlOf(),
    drop: () => asSuperuser(superuserUrl, `DROP DATABASE ${name} WITH (FORCE)`),
  };
}

async function asSuperuser(url: string, statement: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
