import { statSync } from 'node:fs';
import * as z from 'zod';
import { AppError } from '../../../lib/app-error.ts';
import { createFunction } from '../lambda/function.ts';
import { arn, functionByArn, kind, number, physicalName } from './cloud.ts';

const text = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/** AWS::Lambda::Function: a Node function from a bundled asset. Its processes start when it is first needed. */
const lambdaFunction = kind(
  {
    Code: z.strictObject({ S3Bucket: z.string().optional(), S3Key: z.string() }),
    Handler: z.string(),
    Runtime: z.string().regex(/^nodejs/, 'only Node runtimes run locally'),
    FunctionName: z.string().optional(),
    Environment: z.object({ Variables: text.optional() }).optional(),
    Timeout: number.default(3),
    MemorySize: number.default(128),
    ReservedConcurrentExecutions: number.optional(),
    DeadLetterConfig: z.object({ TargetArn: z.string() }).optional(),
  },
  [
    'Role',
    'Architectures',
    'VpcConfig',
    'TracingConfig',
    'LoggingConfig',
    'EphemeralStorage',
    'Layers',
    'SnapStart',
    'RecursiveLoop',
  ],
  async (cloud, resource, properties) => {
    const name = properties.FunctionName ?? physicalName(resource);
    const hash = properties.Code.S3Key.replace(/^.*\//, '').replace(/\.zip$/, '');
    const directory = resource.stack.assets.get(hash);
    if (!directory || !statSync(directory).isDirectory()) {
      throw new Error(`its code (asset ${hash}) is no directory in the cloud assembly`);
    }
    if ([...cloud.functions.values()].some(({ spec }) => spec.id === resource.name)) {
      throw new Error(`there are two functions named ${resource.name}`);
    }
    const functionArn = arn(cloud, 'lambda', `function:${name}`);
    const variables = Object.entries(properties.Environment?.Variables ?? {});
    const fn = createFunction(
      {
        id: resource.name,
        name,
        arn: functionArn,
        region: cloud.region,
        directory,
        handler: properties.Handler,
        environment: {
          ...cloud.endpointEnvironment,
          ...Object.fromEntries(variables.map(([key, value]) => [key, String(value)])),
        },
        timeoutMs: properties.Timeout * 1000,
        memoryMb: properties.MemorySize,
        reservedConcurrency: properties.ReservedConcurrentExecutions,
        preload: cloud.preload,
        compileCache: cloud.compileCache,
        onLog: (line) => cloud.onLog(resource.name, line),
      },
      cloud.poolLimits,
    );
    cloud.functions.set(resource.name, fn);
    const deadLetters = properties.DeadLetterConfig?.TargetArn;
    if (deadLetters) cloud.asyncPolicies.set(resource.name, { onFailure: deadLetters });
    return { ref: name, attributes: { Arn: functionArn } };
  },
);

/** AWS::Lambda::Version and Alias: names for the one version that runs here. */
const version = kind(
  { FunctionName: z.string() },
  ['CodeSha256', 'ProvisionedConcurrencyConfig', 'RuntimePolicy'],
  async (cloud, _resource, { FunctionName }) => {
    const ref = `${functionByArn(cloud, FunctionName).spec.arn}:1`;
    return { ref, attributes: { FunctionArn: ref, Version: '1' } };
  },
);
const alias = kind(
  { FunctionName: z.string(), Name: z.string() },
  ['FunctionVersion', 'ProvisionedConcurrencyConfig', 'RoutingConfig'],
  async (cloud, _resource, { FunctionName, Name }) => {
    const ref = `${functionByArn(cloud, FunctionName).spec.arn}:${Name}`;
    return { ref, attributes: { AliasArn: ref } };
  },
);

/** AWS::Lambda::EventInvokeConfig: retries and the failure destination of events that nobody waits for. */
const eventInvokeConfig = kind(
  {
    FunctionName: z.string(),
    MaximumRetryAttempts: number.optional(),
    DestinationConfig: z
      .strictObject({ OnFailure: z.object({ Destination: z.string() }).optional() })
      .optional(),
  },
  ['Qualifier', 'MaximumEventAgeInSeconds'],
  async (cloud, _resource, properties) => {
    const { id } = functionByArn(cloud, properties.FunctionName).spec;
    cloud.asyncPolicies.set(id, {
      ...cloud.asyncPolicies.get(id),
      retries: properties.MaximumRetryAttempts,
      ...(properties.DestinationConfig?.OnFailure && {
        onFailure: properties.DestinationConfig.OnFailure.Destination,
      }),
    });
    return { ref: `${id}-event-invoke-config` };
  },
);

/**
 * Custom::Trigger (CDK's `triggers.TriggerFunction`): invokes the function once while the stack is deployed and fails
 * the deployment with the function's error.
 */
const trigger = kind(
  { HandlerArn: z.string(), InvocationType: z.literal(['RequestResponse', 'Event']).optional() },
  ['Timeout', 'ExecuteOnHandlerChange'],
  async (cloud, resource, { HandlerArn }) => {
    const fn = functionByArn(cloud, HandlerArn);
    const { payload, functionError } = await fn.invoke({ RequestType: 'Create' });
    if (functionError)
      throw new AppError('TRIGGER_FAILED', `${fn.spec.id} failed: ${JSON.parse(payload).errorMessage}`);
    return { ref: physicalName(resource) };
  },
);

export const functionKinds = {
  'AWS::Lambda::Function': lambdaFunction,
  'AWS::Lambda::Version': version,
  'AWS::Lambda::Alias': alias,
  'AWS::Lambda::EventInvokeConfig': eventInvokeConfig,
  'Custom::Trigger': trigger,
};
