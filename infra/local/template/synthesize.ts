import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startError, superviseChild, tieToOurLife } from '../process/child.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
/** All that the assembly is made from. `infra/local` runs it and is no part of it. */
const INPUTS = [
  'functions/**/*',
  'lib/**/*',
  'migrations/*',
  'infra/*.ts',
  'infra/{stacks,subsystems}/**/*',
  'package-lock.json',
];

export type SynthesizeOptions = {
  /** Where the assembly (`cdk.out`) and the bundles (`dist`) go. */
  dataDir: string;
  /** Where the functions are bundled already, by buildFunctions. */
  bundles?: string | undefined;
  /** What infra/stage.ts reads, beside PATH nothing else. */
  environment: Readonly<Record<string, string>>;
};

/**
 * Bundles the functions and synthesizes infra/app.ts, in a process of its own. Returns the cloud assembly's directory.
 * When neither a source nor the stage changed since the last time, that assembly is used again (`reused`).
 */
export async function synthesize({ dataDir, bundles, environment }: SynthesizeOptions) {
  const directory = path.join(dataDir, 'cdk.out');
  const unfinished = `${directory}.unfinished`;
  const stamp = path.join(directory, 'inputs.sha256');
  const inputs = hashInputs(environment);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return { directory, reused: true };

  rmSync(unfinished, { recursive: true, force: true });
  const process_ = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      path.join(import.meta.dirname, 'synthesize-process.ts'),
      unfinished,
      bundles ?? path.join(dataDir, 'dist'),
      ...(bundles ? ['bundled'] : []),
    ],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      // CDK keeps a cache in the home directory.
      env: { PATH: process.env.PATH, HOME: dataDir, ...environment },
      detached: true,
    },
  );
  const child = superviseChild(process_, { name: 'Synthesis' });
  tieToOurLife(child, 'TERM');
  const sentence = await child.exited;
  if (process_.exitCode !== 0) {
    throw startError('The app does not synthesize', `\n${child.lastLines.join('\n') || sentence}`);
  }
  writeFileSync(path.join(unfinished, path.basename(stamp)), inputs);
  rmSync(directory, { recursive: true, force: true });
  renameSync(unfinished, directory);
  return { directory, reused: false };
}

function hashInputs(environment: SynthesizeOptions['environment']): string {
  const hash = createHash('sha256').update(JSON.stringify(Object.entries(environment).sort()));
  const files = globSync(INPUTS, { cwd: ROOT, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  for (const file of files) hash.update(`\0${path.relative(ROOT, file)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}
