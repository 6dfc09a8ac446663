import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { migrate } from '../../../lib/db/migrate.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const OUR_MIGRATIONS = path.resolve(import.meta.dirname, '../../../migrations');

let database: TestDatabase;
let directory: string;
let owner: Sql;
beforeEach(async () => {
  database = await freshDatabase({ migrated: false });
  owner = connect(database.ownerUrl);
  directory = await mkdtemp(path.join(tmpdir(), 'pds-migrations-'));
});
afterEach(async () => {
  await owner.end();
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

const write = (name: string, sql: string) => writeFile(path.join(directory, name), sql);
const run = () => migrate({ ownerUrl: database.ownerUrl, directory });
const tables = async () =>
  (await owner`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`).map(
    (row) => row.tablename,
  );

describe('migrate', () => {
  it('applies files in order, once', async () => {
    await write('001_first.sql', 'CREATE TABLE first (id int);');
    await write('002_second.sql', 'ALTER TABLE first ADD COLUMN name text');
    expect(await run()).toEqual(['001_first', '002_second']);
    expect(await run()).toEqual([]);
    await write('003_third.sql', 'CREATE TABLE third (id int);');
    expect(await run()).toEqual(['003_third']);
  });

  it('applies each file once when several run at the same time', async () => {
    await write('001_first.sql', 'CREATE TABLE first (id int); SELECT pg_sleep(0.2);');
    const applied = await Promise.all([run(), run(), run()]);
    expect(applied.flat()).toEqual(['001_first']);
  });

  it('names file, line and cause of a broken file and leaves everything as it was', async () => {
    await write('001_first.sql', 'CREATE TABLE first (id int);');
    await run();
    await write('002_second.sql', 'CREATE TABLE second (id int);');
    await write('003_third.sql', '-- A comment.\nCREATE TABLE third (\n  id itn\n);');
    await expect(run()).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: 'Migration 003_third.sql line 3: type "itn" does not exist',
    });
    expect(await tables()).not.toContain('second');
    await write('003_third.sql', 'CREATE TABLE third (id int);');
    expect(await run()).toEqual(['002_second', '003_third']);
  });

  it.each([
    ['fails while it runs', 'SELECT 1 / 0;', 'division by zero'],
    [
      'ends the transaction by itself',
      'CREATE TABLE left_behind (id int); ROLLBACK; CREATE TABLE also (id int);',
      'must leave BEGIN, COMMIT and ROLLBACK',
    ],
  ])('refuses a file that %s', async (_, sql, message) => {
    await write('001_first.sql', sql);
    await expect(run()).rejects.toThrow(message);
    expect(await tables()).not.toContain('also');
  });

  it('refuses an applied file that was edited', async () => {
    await write('001_first.sql', 'CREATE TABLE first (id int);');
    await run();
    await write('001_first.sql', 'CREATE TABLE first (id bigint);');
    await write('002_second.sql', 'CREATE TABLE second (id int);');
    await expect(run()).rejects.toMatchObject({
      code: 'MIGRATION_CHANGED',
      message: expect.stringContaining('001_first.sql'),
    });
    expect(await tables()).not.toContain('second');
  });

  it('refuses a file that is put before applied ones, and a missing one', async () => {
    await write('002_second.sql', 'CREATE TABLE second (id int);');
    await run();
    await write('001_first.sql', 'CREATE TABLE first (id int);');
    await expect(run()).rejects.toMatchObject({
      code: 'MIGRATION_OUT_OF_ORDER',
      message: expect.stringContaining('001_first.sql'),
    });
    await rm(path.join(directory, '001_first.sql'));
    await rm(path.join(directory, '002_second.sql'));
    await expect(run()).rejects.toMatchObject({
      code: 'MIGRATION_OUT_OF_ORDER',
      message: expect.stringContaining('missing'),
    });
  });

  it.each([['notes.txt'], ['1_first.sql'], ['001-first.sql'], ['001_First.sql']])(
    'refuses a file named %s',
    async (name) => {
      await write(name, 'SELECT 1;');
      await expect(run()).rejects.toMatchObject({ code: 'MIGRATION_FILE' });
    },
  );

  it('refuses two files with one number', async () => {
    await write('001_first.sql', 'SELECT 1;');
    await write('001_other.sql', 'SELECT 1;');
    await expect(run()).rejects.toMatchObject({ code: 'MIGRATION_FILE' });
  });

  it('runs a file as it stands, whatever its comments say', async () => {
    await write(
      '001_first.sql',
      '-- up migration\nCREATE TABLE first (id int);\n-- down migration\nCREATE TABLE after (id int);',
    );
    await run();
    expect(await tables()).toContain('after');
  });

  it('fails with the reason when the database is not there', async () => {
    const ownerUrl = database.ownerUrl.replace(/\/[^/]*$/, '/nowhere');
    await expect(migrate({ ownerUrl, directory })).rejects.toThrow('database "nowhere" does not exist');
  });
});

describe('our migrations', () => {
  it('let the roles in with their passwords', async () => {
    const { passwords } = inject('testServer');
    await migrate({ ownerUrl: database.ownerUrl, directory: OUR_MIGRATIONS, rolePasswords: passwords });
    for (const [url, role] of [
      [database.apiUrl, 'pds_api'],
      [database.workerUrl, 'pds_worker'],
    ] as const) {
      const sql = connect(url);
      expect(await sql`SELECT current_user AS role`).toEqual([{ role }]);
      await sql.end();
    }
  });

  it('change nothing the second time', async () => {
    await migrate({ ownerUrl: database.ownerUrl, directory: OUR_MIGRATIONS });
    const before =
      await owner`SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`;
    expect(await migrate({ ownerUrl: database.ownerUrl, directory: OUR_MIGRATIONS })).toEqual([]);
    const after =
      await owner`SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`;
    expect(after).toEqual(before);
  });

  it('hold the tables and columns of the specification', async () => {
    await migrate({ ownerUrl: database.ownerUrl, directory: OUR_MIGRATIONS });
    const rows = await owner<{ table: string; columns: string[] }[]>`
      SELECT table_name AS "table", array_agg(column_name::text) AS columns FROM information_schema.columns
      WHERE table_schema = 'public' GROUP BY 1`;
    const columns = Object.fromEntries(rows.map((row) => [row.table, row.columns]));
    const specified = JSON.parse(
      await readFile(path.join(import.meta.dirname, 'specified-columns.json'), 'utf8'),
    );
    for (const [table, names] of Object.entries<string[]>(specified)) {
      expect(columns[table], table).toEqual(expect.arrayContaining(names));
    }
  });
});
