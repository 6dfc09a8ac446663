import path from 'node:path';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { createApp } from '../../app.ts';
import { buildFunctions } from '../../build.ts';
import { stageFromEnv } from '../../stage.ts';

// node synthesize-process.ts <outdir> <dist> [bundled]: the app of `cdk deploy`, with bundles and output in places of our own.
const [outdir = '', dist = '', bundled] = process.argv.slice(2);
try {
  if (bundled === undefined) await buildFunctions({ dist });
  createApp(
    stageFromEnv(process.env),
    (subsystem, operation) => Code.fromAsset(path.join(dist, subsystem, operation)),
    outdir,
  ).synth();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
