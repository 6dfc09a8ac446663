import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { AppError } from '../../../lib/app-error.ts';

/** A resource as the template writes it, intrinsic functions unresolved. */
export type TemplateResource = {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
  Condition?: string;
};

/** The parts of a CloudFormation template that the local platform reads. */
export type Template = {
  Resources: Record<string, TemplateResource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>;
  Parameters?: Record<string, { Default?: unknown }>;
  Conditions?: Record<string, unknown>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
};

/** One synthesized stack. */
export type Stack = {
  name: string;
  region: string | undefined;
  account: string | undefined;
  /** Names of the stacks (and assets) that are deployed before it. */
  dependencies: readonly string[];
  template: Template;
  /** Directory or file of an asset, by its hash (the S3 key without extension). */
  assets: ReadonlyMap<string, string>;
  /** Construct path of a resource by its logical id: `production-auth/auth/auth-logout/Resource`. */
  paths: ReadonlyMap<string, string>;
};

const manifestSchema = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      environment: z.string().optional(),
      dependencies: z.array(z.string()).default([]),
      properties: z.object({ templateFile: z.string().optional() }).optional(),
      metadata: z.record(z.string(), z.unknown()).optional(),
      additionalMetadataFile: z.string().optional(),
    }),
  ),
});
const assetsSchema = z.object({
  files: z.record(z.string(), z.object({ source: z.object({ path: z.string().optional() }) })).optional(),
});

/**
 * Reads a cloud assembly, the directory that `cdk synth` writes (cdk.out): every stack with its template, assets and
 * construct paths, each after those that it depends on. Stacks for which `wanted` says no are left out.
 */
export function loadAssembly(
  directory: string,
  wanted: (stackName: string) => boolean = () => true,
): Stack[] {
  const manifest = manifestSchema.parse(readJson(path.join(directory, 'manifest.json')));
  const stacks = Object.entries(manifest.artifacts)
    .filter(([name, artifact]) => artifact.type === 'aws:cloudformation:stack' && wanted(name))
    .map(([name, artifact]) => {
      const templateFile = artifact.properties?.templateFile;
      if (!templateFile)
        throw new AppError('TEMPLATE_UNSUPPORTED', `${name}: the stack has no template file`);
      const extra = artifact.additionalMetadataFile;
      const metadata = extra ? readJson(path.join(directory, extra)) : artifact.metadata;
      const [, account, region] = /^aws:\/\/([^/]+)\/(.+)$/.exec(artifact.environment ?? '') ?? [];
      return {
        name,
        account: account === 'unknown-account' ? undefined : account,
        region: region === 'unknown-region' ? undefined : region,
        dependencies: artifact.dependencies,
        template: readJson(path.join(directory, templateFile)) as Template,
        assets: readAssets(directory, name),
        paths: constructPaths(metadata as Record<string, unknown> | undefined),
      };
    });
  return inOrder(stacks);
}

function inOrder(stacks: readonly Stack[]): Stack[] {
  const ordered = new Set<Stack>();
  const add = (stack: Stack) => {
    for (const other of stacks) if (stack.dependencies.includes(other.name)) add(other);
    ordered.add(stack);
  };
  for (const stack of stacks) add(stack);
  return [...ordered];
}

/** The construct's own name: the last part of its path that is not CDK's `Resource`, else the logical id. */
export function constructName(stack: Stack, logicalId: string): string {
  const parts = (stack.paths.get(logicalId) ?? logicalId).split('/').filter((part) => part !== 'Resource');
  return parts.at(-1) ?? logicalId;
}

function readAssets(directory: string, stackName: string): Map<string, string> {
  const file = path.join(directory, `${stackName}.assets.json`);
  if (!existsSync(file)) return new Map();
  const { files = {} } = assetsSchema.parse(readJson(file));
  return new Map(
    Object.entries(files).flatMap(([hash, { source }]) =>
      source.path ? [[hash, path.resolve(directory, source.path)] as const] : [],
    ),
  );
}

function constructPaths(metadata: Record<string, unknown> = {}): Map<string, string> {
  const paths = new Map<string, string>();
  for (const [constructPath, entries] of Object.entries(metadata)) {
    if (!Array.isArray(entries)) continue;
    for (const { type, data } of entries) {
      if (type === 'aws:cdk:logicalId') paths.set(String(data), constructPath.replace(/^\//, ''));
    }
  }
  return paths;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
