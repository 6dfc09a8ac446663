import { globSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { build, type Metafile } from 'esbuild';
import { overBudget, sizeTable } from './bundle-budgets.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

export type BuildOptions = {
  /** Folder of the sources, `<subsystem>/<operation>.ts`. */
  functions?: string;
  dist?: string;
  migrations?: string;
};
/** One function's bundle; sizes in bytes. */
export type Bundle = {
  /** `<subsystem>-<operation>` */
  id: string;
  /** What is not the AWS SDK: it is parsed and run at every start. */
  own: number;
  /** The AWS SDK's share: run only when a secret, a key or a queue is needed. */
  sdk: number;
};

/**
 * Bundles every function with one call of esbuild into `dist/<subsystem>/<operation>/index.mjs` and lays the migrations
 * beside the function that runs them, so that a changed SQL file changes that function's asset and runs it.
 */
export async function buildFunctions(options: BuildOptions = {}): Promise<Bundle[]> {
  const functions = options.functions ?? path.join(ROOT, 'functions');
  const dist = options.dist ?? path.join(ROOT, 'dist');
  const entries = globSync('*/*.ts', { cwd: functions });
  await rm(dist, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: entries.map((entry) => ({
      in: path.join(functions, entry),
      out: path.join(entry.replace(/\.ts$/, ''), 'index'),
    })),
    outdir: dist,
    outExtension: { '.js': '.mjs' },
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minify: true,
    // Errors are told apart, and logged, by their names.
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    // `pg` (migrations) is CommonJS and calls require() for Node's own modules.
    banner: { js: REQUIRE },
  });
  const migrate = path.join(dist, 'database/migrate');
  await cp(options.migrations ?? path.join(ROOT, 'migrations'), path.join(migrate, 'migrations'), {
    recursive: true,
  });
  return bundlesOf(metafile, dist);
}

const REQUIRE =
  // Under a name of its own: esbuild does not rename what a bundled module imports to get out of a banner's way.
  "import { createRequire as requireOfBundle } from 'node:module'; const require = requireOfBundle(import.meta.url);";

function bundlesOf({ outputs }: Metafile, dist: string): Bundle[] {
  return Object.entries(outputs)
    .filter(([file]) => file.endsWith('.mjs'))
    .map(([file, { bytes, inputs }]) => {
      const sdk = Object.entries(inputs)
        .filter(([input]) => /node_modules\/(@aws-sdk|@smithy|@aws)\//.test(input))
        .reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
      const folder = path.dirname(path.relative(dist, path.resolve(ROOT, file)));
      return { id: folder.replace(path.sep, '-'), own: bytes - sdk, sdk };
    })
    .sort((a, b) => a.id.localeCompare(b.id));
}

if (import.meta.main) {
  try {
    const bundles = await buildFunctions();
    console.log(sizeTable(bundles));
    const tooBig = overBudget(bundles);
    if (tooBig.length > 0) throw new Error(tooBig.join('\n'));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
