import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const root = path.resolve(import.meta.dirname, '../../..');
let database: TestDatabase;
let bundle: string;
beforeAll(async () => {
  database = await freshDatabase({ migrated: false });
  bundle = await mkdtemp(path.join(tmpdir(), 'pds-migrate-function-'));
});
afterAll(async () => {
  await database.drop();
  await rm(bundle, { recursive: true, force: true });
});

it('migrates as a bundle, with nothing beside it but the SQL, and prints no password', async () => {
  await build({
    entryPoints: [path.join(root, 'functions/database/migrate.ts')],
    outfile: path.join(bundle, 'index.mjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'silent',
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
  });
  await cp(path.join(root, 'migrations'), path.join(bundle, 'migrations'), { recursive: true });
  await writeFile(
    path.join(bundle, 'run.mjs'),
    "console.log(JSON.stringify(await (await import('./index.mjs')).handler()))",
  );

  const run = () =>
    promisify(execFile)(process.execPath, [path.join(bundle, 'run.mjs')], {
      cwd: bundle,
      env: {
        DATABASE_URL: database.ownerUrl,
        API_DATABASE_URL: database.apiUrl,
        WORKER_DATABASE_URL: database.workerUrl,
      },
    });
  const first = await run();
  expect(JSON.parse(first.stdout.trim().split('\n').at(-1) ?? '').applied).toContain('001_members');
  for (const url of [database.ownerUrl, database.apiUrl, database.workerUrl]) {
    expect(first.stdout + first.stderr).not.toContain(new URL(url).password);
  }
  expect(JSON.parse((await run()).stdout)).toEqual({ applied: [] });

  const api = connect(database.apiUrl);
  expect(await api`SELECT count(*) AS members FROM users`).toEqual([{ members: 0 }]);
  await api.end();
});
