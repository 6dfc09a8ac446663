import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{integration,e2e,chaos}/**/*.test.ts'],
          globalSetup: ['test/setup/postgres.ts'],
          maxWorkers: 2,
        },
      },
    ],
  },
});
