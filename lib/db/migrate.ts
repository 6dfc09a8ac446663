import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import pg from 'pg';
import { AppError } from '../app-error.ts';
import { type MigrationFile, readMigrationFiles } from './migration-files.ts';
import { scramVerifier } from './scram.ts';
import { tlsFor } from './tls.ts';

export type MigrateOptions = {
  /** URL of the role that owns the schema. */
  ownerUrl: string;
  /** Folder of the numbered SQL files. */
  directory: string;
  log?: (line: string) => void;
  /** Passwords with which the application's roles may log in; a role without one keeps what it has. */
  rolePasswords?: { api?: string; worker?: string };
};

/**
 * Brings the schema up to date and returns the names of the files that were applied now; a second run applies none.
 * All pending files run in one transaction, so a broken one leaves the database as it was. Two runs at once take
 * turns (advisory lock). A file is applied once and never edited afterwards: its checksum is kept beside its name.
 *
 * Errors, each one sentence with the file's name: MIGRATION_FAILED, MIGRATION_CHANGED, MIGRATION_OUT_OF_ORDER, MIGRATION_FILE.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const { ownerUrl, directory, log = () => {}, rolePasswords = {} } = options;
  const files = await readMigrationFiles(directory);
  const client = new pg.Client(clientConfig(ownerUrl));
  // Without a listener a connection lost between two queries would end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(`SELECT pg_advisory_lock(${PG_MIGRATE_LOCK_ID})`);
    await checkApplied(client, files);
    const applied = await applyPending(client, { files, directory });
    for (const name of applied) log(`applied ${name}`);
    for (const [role, password] of [
      ['pds_api', rolePasswords.api],
      ['pds_worker', rolePasswords.worker],
    ] as const) {
      if (password) await allowLogin(client, role, password);
    }
    return applied;
  } finally {
    // Ending the session releases the lock.
    await client.end();
  }
}

function clientConfig(ownerUrl: string): pg.ClientConfig {
  const url = new URL(ownerUrl);
  const ssl = tlsFor(url.hostname, url.searchParams.get('sslmode'));
  url.searchParams.delete('sslmode');
  return {
    connectionString: url.href,
    ssl,
    connectionTimeoutMillis: 10_000,
    application_name: 'pds-migrate',
  };
}

/** Compares what the database says it has run with the files: same names in the same order, same contents. */
async function checkApplied(client: pg.Client, files: readonly MigrationFile[]): Promise<void> {
  await client.query(
    'CREATE TABLE IF NOT EXISTS pgmigrations_checksums (name text PRIMARY KEY, sha256 text NOT NULL)',
  );
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'SELECT name, sha256 FROM pgmigrations_checksums ORDER BY name',
  );
  for (const [index, { name, sha256 }] of rows.entries()) {
    const file = files[index];
    if (file?.name !== name) {
      throw new AppError(
        'MIGRATION_OUT_OF_ORDER',
        files.some((candidate) => candidate.name === name)
          ? `Migration ${file?.name}.sql comes before ${name}.sql, which was applied already; give it a higher number.`
          : `Migration ${name}.sql was applied to this database, but the file is missing.`,
      );
    }
    if (file.sha256 !== sha256) {
      throw new AppError(
        'MIGRATION_CHANGED',
        `Migration ${name}.sql was edited after it had been applied; undo the edit and put the change into a new file.`,
      );
    }
  }
}

async function applyPending(
  client: pg.Client,
  { files, directory }: { files: readonly MigrationFile[]; directory: string },
): Promise<string[]> {
  let current: MigrationFile | undefined;
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  try {
    const done = await runner({
      dbClient: client,
      dir: directory,
      direction: 'up',
      migrationsTable: 'pgmigrations',
      singleTransaction: true,
      noLock: true, // we hold it
      logger: silent,
      migrationLoaderStrategies: [
        {
          extensions: ['.sql'],
          // Each file runs as it stands, together with the note of its checksum. The tool's own SQL loader would
          // cut a file at a comment that happens to say "down migration".
          loader: async () =>
            files.map((file) => ({
              id: file.path,
              filePaths: [file.path],
              actions: {
                up: (pgm) => {
                  current = file;
                  pgm.sql(file.sql);
                  pgm.sql(`INSERT INTO pgmigrations_checksums VALUES ('${file.name}', '${file.sha256}')`);
                },
                down: false,
              },
            })),
        },
      ],
    });
    return done.map(({ name }) => name);
  } catch (error) {
    throw new AppError('MIGRATION_FAILED', failure(error, current), { cause: error });
  }
}

function failure(error: unknown, file: MigrationFile | undefined): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!file) return `The migrations could not be run: ${message}`;
  const position = error instanceof pg.DatabaseError ? Number(error.position) : Number.NaN;
  const line = Number.isNaN(position) ? '' : ` line ${file.sql.slice(0, position - 1).split('\n').length}`;
  return `Migration ${file.name}.sql${line}: ${message}`;
}

async function allowLogin(client: pg.Client, role: string, password: string): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text) AS statement",
    [role, scramVerifier(password)],
  );
  for (const { statement } of rows) await client.query(statement);
}
