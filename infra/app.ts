import { existsSync } from 'node:fs';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import type { Ground } from './function.ts';
import { ApiStack } from './stacks/api.ts';
import { DataStack } from './stacks/data.ts';
import { EdgeStack } from './stacks/edge.ts';
import { MonitoringStack } from './stacks/monitoring.ts';
import { addSubsystems } from './stacks/subsystems.ts';
import { type Stage, stageFromEnv } from './stage.ts';

/** The app for one stage. `code` gives a function's bundled code. */
export function createApp(stage: Stage, code: Ground['code'], outdir?: string): App {
  const app = new App({
    outdir,
    analyticsReporting: false,
    // What another stack uses cannot be taken out of the data stack.
    context: { '@aws-cdk/core:defaultCrossStackReferences': 'strong' },
    // CloudFormation's own rules take 2 of 3 seconds and say nothing about a template that stays on this machine.
    builtinCloudFormationValidation: stage.deployed,
    treeMetadata: stage.deployed,
  });
  const data = new DataStack(app, { stage });
  const { api } = new ApiStack(app, { stage, data, code });
  const subsystems = addSubsystems(app, { stage, data, code, api });
  const watched = subsystems.map((subsystem) => subsystem.watched);
  if (stage.deployed) new MonitoringStack(app, { stage, data, api, watched });
  if (stage.edge) {
    const edge = new EdgeStack(app, { stage, edge: stage.edge });
    for (const subsystem of subsystems) edge.addStackDependency(Stack.of(subsystem));
  }
  return app;
}

/** What infra/build.ts made. */
function bundled(subsystem: string, operation: string): Code {
  const directory = path.resolve(import.meta.dirname, '../dist', subsystem, operation);
  if (!existsSync(directory)) throw new Error(`${subsystem}/${operation} is not bundled: npm run build`);
  return Code.fromAsset(directory);
}

if (import.meta.main) {
  try {
    createApp(stageFromEnv(process.env), bundled, process.env.CDK_OUTDIR ?? 'cdk.out').synth();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
