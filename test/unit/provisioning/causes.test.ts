import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { explainCause, hasWords } from '../../../lib/provisioning/dead-letters/causes.ts';

const lib = path.resolve(import.meta.dirname, '../../../lib/provisioning');
const sources = globSync('**/*.ts', { cwd: lib }).map((file) => readFileSync(path.join(lib, file), 'utf8'));
const thrown = sources.flatMap((source) =>
  [...source.matchAll(/(?:ProvisioningError|fatal)\(\s*(?:\w+,\s*)?'([A-Z_]+)'/g)].map(([, code]) =>
    String(code),
  ),
);

it('every error that ends work has words for operators', () => {
  expect(thrown).toEqual(expect.arrayContaining(['ACCOUNT_LOCKED', 'NO_PROVIDER', 'NO_INVITE']));
  const codes = [
    ...new Set([...thrown, 'WORKER_CRASHED', 'CLAIMED_TOO_OFTEN', 'DATABASE_BUSY', 'PDS_REJECTED']),
  ];
  expect(codes.filter((code) => !hasWords(code))).toEqual([]);
});

it('says what the member reads where that says enough, and something to do for whatever comes', () => {
  expect(explainCause('ACCOUNT_LOCKED', 'It is locked.').means).toBe('It is locked.');
  expect(explainCause('WORKER_CRASHED', 'Operators look into it.').means).toContain('timed out');
  expect(explainCause('constructor', 'Odd.')).toEqual({
    means: 'Odd.',
    todo: expect.stringContaining('log'),
  });
  expect(explainCause('OF_TOMORROW').means.length).toBeGreaterThan(20);
});
