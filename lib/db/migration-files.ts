import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../app-error.ts';

export type MigrationFile = {
  /** File name without `.sql`: what the database remembers. */
  name: string;
  path: string;
  sql: string;
  sha256: string;
};

/** A statement that would end the transaction in which all pending files run; plpgsql's own BEGIN has no semicolon. */
const ENDS_TRANSACTION = /(^|;)\s*(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|ABORT)( WORK| TRANSACTION)?\s*;/im;

/**
 * The migrations of a folder in the order of their numbers. Every file must be named `001_what_it_brings.sql`, each
 * number used once; anything else there is a mistake, as is a file with a transaction of its own: MIGRATION_FILE.
 */
export async function readMigrationFiles(directory: string): Promise<MigrationFile[]> {
  const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).sort();
  const numbers = new Set<string>();
  for (const name of names) {
    const number = /^(\d{3})_[a-z0-9_]+\.sql$/.exec(name)?.[1];
    if (!number) throw new AppError('MIGRATION_FILE', `Migration ${name} is not named like 001_members.sql.`);
    if (numbers.has(number))
      throw new AppError('MIGRATION_FILE', `Two migrations have the number ${number}.`);
    numbers.add(number);
  }
  return Promise.all(
    names.map(async (name) => {
      const file = path.join(directory, name);
      const sql = await readFile(file, 'utf8');
      if (ENDS_TRANSACTION.test(sql)) {
        throw new AppError(
          'MIGRATION_FILE',
          `Migration ${name} must leave BEGIN, COMMIT and ROLLBACK to the migrator.`,
        );
      }
      return {
        name: path.basename(name, '.sql'),
        path: file,
        sql,
        sha256: createHash('sha256').update(sql).digest('hex'),
      };
    }),
  );
}
