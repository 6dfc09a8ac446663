import type { SQSClient } from '@aws-sdk/client-sqs';
import * as z from 'zod';
import type { KmsKeys } from '../aws/kms-keys.ts';
import type { S3Server } from '../aws/s3/s3.ts';
import type { SecretsManager } from '../aws/secrets-manager.ts';
import type { Schedule } from '../events/schedule.ts';
import type { HttpApi } from '../http-api/api.ts';
import type { LambdaFunction, PoolLimits } from '../lambda/function.ts';
import type { Create, Created, Resource } from '../template/deploy.ts';

/** The machine's side of the cloud: what resources are made of, and the register of those that exist. */
export type Cloud = {
  region: string;
  account: string;
  sqs: SQSClient;
  sqsUrl: string;
  kmsKeys: KmsKeys;
  secrets: SecretsManager;
  addBucket: S3Server['addBucket'];
  /** What every Lambda process gets beside its template: where the services are. */
  endpointEnvironment: Readonly<Record<string, string>>;
  /** Modules that every Lambda process loads first. */
  preload: readonly string[];
  compileCache: string | undefined;
  poolLimits: PoolLimits;
  /** Superuser URL of the server that stands in for RDS. */
  postgresUrl: string;
  /** The value of a secret that operators choose on AWS and the platform chooses here, by the setting that reads it. */
  operatorSecret(resource: Resource): string | undefined;
  onLog(functionId: string, line: string): void;
  onNotice(text: string): void;

  functions: Map<string, LambdaFunction>;
  asyncPolicies: Map<string, { retries?: number; onFailure?: string }>;
  apis: Map<string, HttpApi>;
  schedules: Map<string, Schedule>;
  queues: Map<string, string>;
  databases: Map<string, DatabaseEndpoint>;
  /** Database users with their URLs, by name. */
  databaseLogins: Map<string, string>;
  /** Started once everything exists: event sources and schedules. Each returns how it is stopped. */
  starters: (() => () => Promise<void>)[];
};

export type DatabaseEndpoint = { host: string; port: number; engine: string; name: string | undefined };

type Kind<Schema extends z.ZodType> = (
  cloud: Cloud,
  resource: Resource,
  properties: z.output<Schema>,
) => Promise<Created>;

/**
 * Declares a kind of resource by the properties that the local platform acts on. `ignored` names those that mean
 * nothing here; any other property fails the start, so that nothing is left out by accident.
 */
export function kind<Shape extends z.ZodRawShape>(
  shape: Shape,
  ignored: readonly string[],
  create: Kind<z.ZodObject<Shape, z.core.$strict>>,
): (cloud: Cloud) => Create {
  const schema = z.strictObject(shape);
  return (cloud) => async (resource) => {
    const meant = Object.entries(resource.properties).filter(
      ([name]) => !ignored.includes(name) && !EVERYWHERE_IGNORED.has(name),
    );
    const result = schema.safeParse(Object.fromEntries(meant));
    if (!result.success) throw new Error(problemsOf(result.error));
    return create(cloud, resource, result.data as z.output<z.ZodObject<Shape, z.core.$strict>>);
  };
}

/** CloudFormation writes numbers and booleans now as themselves, now as text. */
export const number = z.coerce.number();
export const boolean = z.preprocess(
  (value) => (typeof value === 'string' ? value === 'true' : value),
  z.boolean(),
);

/** The function that an ARN names, whatever version or alias it carries. */
export function functionByArn(cloud: Pick<Cloud, 'functions'>, arn: string): LambdaFunction {
  const name = arn.startsWith('arn:') ? arn.split(':')[6] : arn.split(':')[0];
  const found = [...cloud.functions.values()].find(({ spec }) => spec.name === name);
  if (!found) throw new Error(`${arn} is no function that runs locally`);
  return found;
}

/** The physical name of a resource that its template does not name. */
export function physicalName({ stack, logicalId }: Resource): string {
  return `${stack.name}-${logicalId}`;
}

export function arn(cloud: Pick<Cloud, 'region' | 'account'>, service: string, rest: string): string {
  return `arn:aws:${service}:${cloud.region}:${cloud.account}:${rest}`;
}

const EVERYWHERE_IGNORED = new Set(['Tags', 'Description', 'KmsMasterKeyId', 'KmsKeyId', 'KmsKeyArn']);

function problemsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => {
      if (issue.code === 'unrecognized_keys') {
        return `the local platform does not know the ${issue.keys.length > 1 ? 'properties' : 'property'} ${issue.keys.join(', ')}`;
      }
      return `property ${issue.path.join('.')}: ${issue.message}`;
    })
    .join('; ');
}
