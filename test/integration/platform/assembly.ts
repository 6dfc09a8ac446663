import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CloudOptions, type RunningCloud, startCloud } from '../../../infra/local/cloud.ts';
import { loadAssembly } from '../../../infra/local/template/assembly.ts';

type Resources = Record<string, { Type: string; Properties?: object; DependsOn?: string | string[] }>;
type StackContent = {
  Resources: Resources;
  Outputs?: object;
  Conditions?: object;
  /** Names of the stacks that come before it. */
  dependencies?: string[];
};

/** Writes a cloud assembly by hand, as `cdk synth` would; functions are given by their source code. */
export function writeAssembly(
  stacks: Record<string, StackContent>,
  code: Record<string, string> = {},
): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'assembly-'));
  const files: Record<string, object> = {};
  for (const [hash, source] of Object.entries(code)) {
    mkdirSync(path.join(directory, `asset.${hash}`));
    writeFileSync(path.join(directory, `asset.${hash}`, 'index.mjs'), source);
    files[hash] = { source: { path: `asset.${hash}`, packaging: 'zip' } };
  }
  const artifacts: Record<string, object> = {};
  for (const [name, { dependencies, ...template }] of Object.entries(stacks)) {
    const templateFile = `${name}.template.json`;
    writeFileSync(path.join(directory, templateFile), JSON.stringify(template));
    writeFileSync(path.join(directory, `${name}.assets.json`), JSON.stringify({ version: '1', files }));
    artifacts[name] = { type: 'aws:cloudformation:stack', properties: { templateFile }, dependencies };
  }
  writeFileSync(path.join(directory, 'manifest.json'), JSON.stringify({ version: '1', artifacts }));
  return directory;
}

/** Runs stacks written by hand; `code` holds a function's source for each asset hash. */
export async function runStacks(
  stacks: Record<string, StackContent>,
  code: Record<string, string> = {},
  options: CloudOptions = {},
): Promise<RunningCloud> {
  const directory = writeAssembly(stacks, code);
  try {
    const cloud = await startCloud(loadAssembly(directory), options);
    return {
      ...cloud,
      async stop() {
        await cloud.stop();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** A Lambda function whose code is the asset of this hash. */
export function lambda(asset: string, properties: object = {}) {
  return {
    Type: 'AWS::Lambda::Function',
    Properties: {
      Code: { S3Bucket: 'assets', S3Key: `${asset}.zip` },
      Handler: 'index.handler',
      Runtime: 'nodejs24.x',
      ...properties,
    },
  };
}
