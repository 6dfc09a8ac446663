import { globSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Metafile } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '..');

export type BuildOptions = {
  /** Folder of the sources, `<subsystem>/<operation>.ts`. */
  functions?: string;
  dist?: string;
  migrations?: string;
  minify?: boolean;
};
/** One function's bundle. Sizes in bytes; `sdk` is the share of the AWS SDK. */
export type Bundle = { id: string; inputs: string[]; bytes: number; sdk: number };

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
    minify: options.minify ?? false,
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    // Packages that are CommonJS inside call require() for Node's own modules.
    banner: { js: REQUIRE },
  });
  const migrate = path.join(dist, 'database/migrate');
  await cp(options.migrations ?? path.join(ROOT, 'migrations'), path.join(migrate, 'migrations'), {
    recursive: true,
  });
  return bundlesOf(metafile, dist);
}

const REQUIRE =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

function bundlesOf({ outputs }: Metafile, dist: string): Bundle[] {
  return Object.entries(outputs)
    .filter(([file]) => file.endsWith('.mjs'))
    .map(([file, { bytes, inputs }]) => {
      const used = Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
      const sdk = used.filter(([input]) => /node_modules\/(@aws-sdk|@smithy|@aws)\//.test(input));
      return {
        id: path.dirname(path.relative(dist, path.resolve(ROOT, file))).replace(path.sep, '-'),
        inputs: used.map(([input]) => input),
        bytes,
        sdk: sdk.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0),
      };
    })
    .sort((a, b) => a.id.localeCompare(b.id));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { minify: { type: 'boolean', default: true } },
    allowNegative: true,
  });
  for (const { id, bytes, sdk } of await buildFunctions(values)) console.log(id, bytes, sdk);
}
