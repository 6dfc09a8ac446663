import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { SQSClient } from '@aws-sdk/client-sqs';
import { AppError } from '../../lib/app-error.ts';
import { startAwsJson } from './aws/aws-json.ts';
import { kmsActions } from './aws/kms.ts';
import { openKmsKeys } from './aws/kms-keys.ts';
import { startS3 } from './aws/s3/s3.ts';
import { openSecretsManager, secretsManagerActions } from './aws/secrets-manager.ts';
import { SQS_ACCOUNT, startSqs } from './aws/sqs.ts';
import type { HttpApi } from './http-api/api.ts';
import type { LambdaFunction, PoolLimits } from './lambda/function.ts';
import type { InvokeResult } from './lambda/spec.ts';
import type { Cloud } from './resources/cloud.ts';
import { resourceKinds } from './resources/index.ts';
import { secretValue } from './resources/secrets.ts';
import type { Stack } from './template/assembly.ts';
import { deploy } from './template/deploy.ts';
import { settingsOfSecrets } from './template/secret-settings.ts';

export type CloudOptions = {
  /** Files for KMS keys and secrets; absent: they live as long as the process. */
  keysFile?: string;
  secretsFile?: string;
  /** Folder for the objects of buckets; absent: they live as long as the process. */
  bucketsFolder?: string;
  /** Superuser URL of the server that stands in for RDS. Needed by templates with a database. */
  postgresUrl?: string;
  /** Values of the secrets that operators choose on AWS, by the setting that is read from them. */
  operatorSecrets?: Readonly<Record<string, string>>;
  /** Modules that every Lambda process loads before its handler. */
  preload?: readonly string[];
  /** Folder for the compiled code of functions; without one every process compiles anew. */
  compileCache?: string;
  poolLimits?: PoolLimits;
  /** A line that a function printed. */
  onLog?: (functionId: string, line: string) => void;
  /** Something about the machinery that its user should know. */
  onNotice?: (text: string) => void;
};

export type RunningCloud = {
  /** What reaches KMS, S3, Secrets Manager, SNS and SQS: the environment for any AWS SDK client. */
  environment: Readonly<Record<string, string>>;
  databaseLogins: ReadonlyMap<string, string>;
  functions: {
    ids(): string[];
    /** Runs a function once and waits; function errors are in the result. */
    invoke(id: string, event: unknown): Promise<InvokeResult>;
    /** SIGKILL to every process of the function. */
    kill(id: string): void;
    pids(id: string): number[];
    /** What the template gives the function as its environment. */
    environment(id: string): Readonly<Record<string, string>>;
  };
  /** Delivers to the targets of a schedule now. */
  fire(scheduleId: string): Promise<InvokeResult[]>;
  schedules(): { id: string; expression: string }[];
  queueUrl(id: string): string;
  /** The one HTTP API that the stacks declare. */
  api(): HttpApi;
  stop(): Promise<void>;
};

const DEFAULT_REGION = 'us-east-1';

/** The services that a cloud assembly runs on: SQS and SNS, S3, KMS and Secrets Manager on loopback ports. */
export type CloudServices = { cloud: Cloud; stop(): Promise<void>; environment: Record<string, string> };

/**
 * Creates what the stacks declare and lets it run: functions, queues and their event sources, schedules, the HTTP
 * API. Every function's module is loaded once, so that a setting that is missing fails here and not at midnight.
 * Fails with TEMPLATE_UNSUPPORTED or FUNCTION_INIT_FAILED; then nothing is left running.
 */
export async function startCloud(
  stacks: readonly Stack[],
  options: CloudOptions = {},
): Promise<RunningCloud> {
  const { cloud, environment, stop: stopServices } = await startServices(stacks, options);
  const { functions, apis, schedules, queues, databaseLogins } = cloud;
  let stoppers: (() => Promise<void>)[] = [];
  const stop = async () => {
    // Queues first: consumers wait on them; then whatever is still at work.
    const stopping = stoppers.map((stopOne) => stopOne());
    await stopServices();
    await Promise.all([...stopping, ...[...functions.values()].map((fn) => fn.stop())]);
  };
  try {
    await deploy(
      {
        region: cloud.region,
        account: cloud.account,
        kinds: resourceKinds(cloud),
        secretValue: (secretId, jsonKey) => secretValue(cloud, secretId, jsonKey),
      },
      stacks,
    );
    await warmAll([...functions.values()]);
  } catch (error) {
    await stop();
    throw error;
  }
  stoppers = cloud.starters.map((start) => start());

  return {
    environment,
    databaseLogins,
    functions: {
      ids: () => [...functions.keys()].sort(),
      invoke: (id, event) => byId(functions, 'function', id).invoke(event),
      kill: (id) => byId(functions, 'function', id).kill(),
      pids: (id) => byId(functions, 'function', id).pids(),
      environment: (id) => byId(functions, 'function', id).spec.environment,
    },
    fire: (id) => byId(schedules, 'schedule', id).fire(),
    schedules: () => [...schedules.values()].map(({ id, expression }) => ({ id, expression })),
    queueUrl: (id) => byId(queues, 'queue', id),
    api() {
      const [api, ...others] = apis.values();
      if (!api || others.length > 0) {
        throw new AppError('TEMPLATE_UNSUPPORTED', `there must be one HTTP API, not ${apis.size}`);
      }
      return api;
    },
    stop,
  };
}

/** A few at a time: more would only take the processor from each other. */
async function warmAll(functions: LambdaFunction[]): Promise<void> {
  const left = functions.values();
  const warmSome = async () => {
    for (const fn of left) await fn.warm();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, warmSome));
}

async function startServices(stacks: readonly Stack[], options: CloudOptions): Promise<CloudServices> {
  const region = stacks.find((stack) => stack.region)?.region ?? DEFAULT_REGION;
  const account = SQS_ACCOUNT;
  const kmsKeys = openKmsKeys({ file: options.keysFile, region, account });
  const secrets = openSecretsManager({ file: options.secretsFile, region, account });
  const sqs = await startSqs();
  const json = await startAwsJson({ ...kmsActions(kmsKeys), ...secretsManagerActions(secrets) });
  const bucketsFolder = options.bucketsFolder ?? mkdtempSync(path.join(tmpdir(), 'buckets-'));
  const s3 = await startS3(bucketsFolder);
  const endpointEnvironment = {
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ENDPOINT_URL_SNS: sqs.url,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    AWS_ENDPOINT_URL_KMS: json.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: json.url,
  };
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new SQSClient({ region, endpoint: sqs.url, credentials });
  const settings = settingsOfSecrets(stacks);
  const cloud: Cloud = {
    region,
    account,
    sqs: client,
    sqsUrl: sqs.url,
    kmsKeys,
    secrets,
    addBucket: s3.addBucket,
    endpointEnvironment,
    preload: options.preload ?? [],
    compileCache: options.compileCache,
    poolLimits: options.poolLimits ?? {},
    postgresUrl: options.postgresUrl ?? '',
    operatorSecret: ({ stack, logicalId }) =>
      options.operatorSecrets?.[settings.get(`${stack.name}/${logicalId}`) ?? ''],
    onLog: options.onLog ?? (() => {}),
    onNotice: options.onNotice ?? (() => {}),
    functions: new Map(),
    asyncPolicies: new Map(),
    apis: new Map(),
    schedules: new Map(),
    queues: new Map(),
    databases: new Map(),
    databaseLogins: new Map(),
    starters: [],
  };
  return {
    cloud,
    environment: {
      ...endpointEnvironment,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    async stop() {
      client.destroy();
      await Promise.all([sqs.stop(), json.stop(), s3.stop()]);
      if (options.bucketsFolder === undefined) rmSync(bucketsFolder, { recursive: true, force: true });
    },
  };
}

function byId<T>(register: ReadonlyMap<string, T>, what: string, id: string): T {
  const found = register.get(id);
  if (found !== undefined) return found;
  throw new AppError(
    'NOT_FOUND',
    `there is no ${what} ${id}; there are ${[...register.keys()].sort().join(', ')}`,
  );
}
