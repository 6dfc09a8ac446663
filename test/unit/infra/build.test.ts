import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, buildFunctions } from '../../../infra/build.ts';
import { overBudget } from '../../../infra/bundle-budgets.ts';

describe('build', () => {
  let dist: string;
  let bundles: Bundle[];
  beforeAll(async () => {
    dist = await mkdtemp(path.join(tmpdir(), 'pds-dist-'));
    bundles = await buildFunctions({ dist });
  }, 240_000);
  afterAll(() => rm(dist, { recursive: true, force: true }));

  it('keeps every function within its budget', () => {
    expect(overBudget(bundles)).toEqual([]);
  });

  it('keeps the names of errors, by which they are told apart in logs', async () => {
    const code = await readFile(path.join(dist, 'provisioning/provision-identity/index.mjs'), 'utf8');
    for (const name of ['PostgresError', 'XrpcError', 'ProvisioningError'])
      expect(code).toContain(`"${name}"`);
  });

  it('lays the migrations beside the function that runs them', async () => {
    const [there, here] = await Promise.all([
      readdir(path.join(dist, 'database/migrate/migrations')),
      readdir(path.resolve(import.meta.dirname, '../../../migrations')),
    ]);
    expect(there.sort()).toEqual(here.sort());
  });

  it('writes an ES module with a source map for each', async () => {
    for (const { id } of bundles) {
      const [, subsystem = '', operation = ''] = /^([a-z]+)-(.+)$/.exec(id) ?? [];
      const code = await readFile(path.join(dist, subsystem, operation, 'index.mjs'), 'utf8');
      expect(code).toMatch(/export\s*\{[^}]*\bhandler\b/);
      expect(code).toContain('sourceMappingURL=index.mjs.map');
    }
  });
});

describe('budgets', () => {
  it('name who outgrew what', () => {
    expect(overBudget([{ id: 'pds-info', own: 900 * 1024, sdk: 0 }])).toEqual([
      expect.stringMatching(/^pds-info: 900 KB without the AWS SDK, budget \d+ KB$/),
    ]);
  });
});
