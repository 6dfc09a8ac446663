import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Stack, Validations } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, describe, expect, it } from 'vitest';
import { appFor, PRODUCTION } from './synthesized.ts';

type Report = {
  pluginReports: {
    pluginName: string;
    violations: { ruleName: string; severity: string; violatingConstructs: { constructPath: string }[] }[];
  }[];
};

describe('what others check', () => {
  const exitCode = process.exitCode;
  afterAll(() => {
    process.exitCode = exitCode; // CDK sets it when it finds something
  });

  it('finds nothing but what was accepted, with a reason (cdk-nag AwsSolutions, CloudFormation)', () => {
    delete process.env.CDK_VALIDATION;
    const app = appFor(PRODUCTION);
    // Shows that the checks do run: a queue that talks in the clear and keeps nothing of what dies in it.
    new Queue(new Stack(app, 'control'), 'careless');
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    expect(() => app.synth()).toThrow('AwsSolutions-SQS4');
    const { pluginReports }: Report = JSON.parse(
      readFileSync(path.join(app.outdir, 'validation-report.json'), 'utf8'),
    );
    const found = pluginReports.flatMap(({ violations }) =>
      violations.flatMap(({ ruleName, violatingConstructs }) =>
        violatingConstructs.map(({ constructPath }) => `${constructPath}: ${ruleName}`),
      ),
    );
    expect(found.sort()).toEqual([
      'control/careless/Resource: AwsSolutions-SQS3',
      'control/careless/Resource: AwsSolutions-SQS4',
    ]);
  }, 240_000);
});
