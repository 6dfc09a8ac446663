import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildFunctions } from '../../infra/build.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the functions are bundled, for all platforms of a run. */
    bundles: string;
  }
}

/** Vitest's global set-up: bundles the functions once, which takes most of a platform's start and 2 GB. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const bundles = await mkdtemp(path.join(tmpdir(), 'pds-bundles-'));
  await buildFunctions({ dist: bundles });
  project.provide('bundles', bundles);
  return () => rm(bundles, { recursive: true, force: true });
}
