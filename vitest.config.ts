import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/setup/longest-first.ts';

/** One project after the other: they differ in how many of their files a machine of two cores can carry at once. */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    sequence: { sequencer: LongestFirst },
    // What keeps the members' keys, and what makes and opens their accounts, is tested or not merged.
    coverage: {
      include: ['lib/{vault,provisioning,auth}/**'],
      reporter: ['text-summary'],
      thresholds: {
        'lib/vault/**': { lines: 97, branches: 92 },
        'lib/auth/**': { lines: 97, branches: 88 },
        'lib/provisioning/**': { lines: 92, branches: 84 },
      },
    },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/setup/postgres.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          globalSetup: ['test/setup/bundles.ts'],
          // Each file runs a whole platform, about 20 processes.
          include: ['test/{e2e,chaos}/**/*.test.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
