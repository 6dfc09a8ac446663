import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { afterAll } from 'vitest';
import { createApp } from '../../../infra/app.ts';
import { stageFromEnv } from '../../../infra/stage.ts';

export type Resource = {
  Type: string;
  Properties: Record<string, unknown>;
  DependsOn?: string[];
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
};

export const PRODUCTION = {
  PDS_STAGE: 'production',
  PDS_APP_ORIGIN: 'https://app.example.org',
  PDS_DOMAIN: 'example.org',
  PDS_EMAIL_DOMAIN: 'mail.example.org',
  PDS_LOCAL_ENDPOINT: 'https://pds.example.org',
  TELEGRAM_BOT_USERNAME: 'example_bot',
  PDS_OPERATOR_EMAIL: 'operators@example.org',
  PDS_HOSTED_ZONE_ID: 'Z0123456789',
  AWS_REGION: 'eu-central-1',
};
export const LOCAL = { PDS_STAGE: 'local' };

/** The functions that work with the database as `pds_worker`. */
export const WORKERS = [
  'audit-seal-root',
  'lifecycle-plan-health-sweep',
  'lifecycle-sweep-health',
  'lifecycle-change-identity',
  'lifecycle-clean-up',
  'lifecycle-rotate-due-keys',
  'lifecycle-tell-operators',
  'provisioning-dead-letter',
  'provisioning-provision-identity',
  'provisioning-reconcile-orphans',
  'provisioning-relay',
];

const outdirs: string[] = [];
afterAll(() => {
  for (const directory of outdirs) rmSync(directory, { recursive: true, force: true });
});

/** The app for an environment, its functions' code left out: no test here needs a bundle. */
export function appFor(env: Record<string, string | undefined>): App {
  const outdir = mkdtempSync(path.join(tmpdir(), 'pds-synth-'));
  outdirs.push(outdir);
  return createApp(stageFromEnv(env), () => Code.fromInline('exports.handler = () => {}'), outdir);
}

/** The template of every stack, by the last part of its name: data, api, auth, …, monitoring, edge. */
export function synthesize(env: Record<string, string | undefined>): Record<string, Template> {
  // CloudFormation's own rules run once, in findings.test.ts.
  process.env.CDK_VALIDATION = 'false';
  const assembly = appFor(env).synth();
  return Object.fromEntries(
    assembly.stacks.map(({ stackName, templateFullPath }) => [
      stackName.split('-').at(-1),
      Template.fromJSON(JSON.parse(readFileSync(templateFullPath, 'utf8'))),
    ]),
  );
}

/** The stacks of the app themselves. */
export function stacksOf(app: App): Stack[] {
  return app.node.children.filter(Stack.isStack);
}

export function resourcesOf(template: Template | undefined, type: string): [string, Resource][] {
  return Object.entries(template?.findResources(type) ?? {}) as [string, Resource][];
}

/** Every resource of every stack. */
export function allResources(templates: Record<string, Template>): [string, Resource][] {
  return Object.values(templates).flatMap((template) => Object.entries(template.toJSON().Resources)) as [
    string,
    Resource,
  ][];
}

/** Every resource of a type, with the template that it stands in. */
export function everywhere(templates: Record<string, Template>, type: string) {
  return Object.values(templates).flatMap((template) =>
    resourcesOf(template, type).map(([logicalId, resource]) => ({ template, logicalId, ...resource })),
  );
}

/** The functions of the house by their id, without CDK's own. */
export function functionsOf(templates: Record<string, Template>, stage: string) {
  return new Map(
    Object.entries(templates).flatMap(([stack, template]) =>
      resourcesOf(template, 'AWS::Lambda::Function').flatMap(([logicalId, { Properties }]) => {
        const name = Properties.FunctionName;
        return typeof name === 'string'
          ? [[name.slice(stage.length + 1), { stack, template, logicalId, properties: Properties }] as const]
          : [];
      }),
    ),
  );
}
