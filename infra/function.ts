import { type Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import {
  Architecture,
  type Code,
  type FunctionProps,
  Function as Lambda,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { SettingName } from '../lib/config.ts';
import { provide, settingSources } from './setting-sources.ts';
import type { DataStack } from './stacks/data.ts';
import type { DatabaseRole, Stage } from './stage.ts';

/** What every function of the service is built from. */
export type Ground = {
  readonly stage: Stage;
  readonly data: DataStack;
  /** The provisioning queue, for those who send to it. */
  readonly queue?: IQueue;
  /** The queue of changes of identities, for those who send to it. */
  readonly changesQueue?: IQueue;
  /** The queue of health sweeps, for those who send to it. */
  readonly healthQueue?: IQueue;
  /** The bundled code of a function (infra/build.ts). */
  readonly code: (subsystem: string, operation: string) => Code;
};

export type FunctionNeeds = {
  readonly subsystem: string;
  /** In kebab-case: the function's file is `functions/<subsystem>/<operation>.ts`. */
  readonly operation: string;
  readonly role: DatabaseRole;
  /** Exactly what its code reads (a test compares). */
  readonly settings: readonly SettingName[];
  readonly timeout: Duration;
  /** Default 512. CPU comes with it: 1,769 MB are one core. */
  readonly memoryMb?: number;
  /** Of /tmp. Default 512. */
  readonly storageMb?: number;
};

/** A function of the house: its code, its settings, and the rights that those settings imply. */
export function addFunction(scope: Construct, ground: Ground, needs: FunctionNeeds): Lambda {
  const { props, grantTo } = describeFunction(scope, ground, needs);
  const fn = new Lambda(scope, functionId(needs), props);
  grantTo(fn);
  return fn;
}

export function functionId({ subsystem, operation }: Pick<FunctionNeeds, 'subsystem' | 'operation'>): string {
  return `${subsystem}-${operation}`;
}

/** The properties of a function, for those that are made by something else than `new Function` (the migration). */
export function describeFunction(scope: Construct, ground: Ground, needs: FunctionNeeds) {
  const { stage, data } = ground;
  const id = functionId(needs);
  const functionName = `${stage.name}-${id}`;
  const { environment, grantTo } = provide(settingSources(ground, needs.role), needs.settings);
  const props: FunctionProps = {
    functionName,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    code: ground.code(needs.subsystem, needs.operation),
    handler: 'index.handler',
    // A start, which is what people wait for, is CPU.
    memorySize: needs.memoryMb ?? 512,
    timeout: needs.timeout,
    ...(needs.storageMb !== undefined && { ephemeralStorageSize: Size.mebibytes(needs.storageMb) }),
    tracing: Tracing.ACTIVE,
    logGroup: new LogGroup(scope, `${id}-log`, {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    }),
    environment: {
      ...environment,
      NODE_OPTIONS: '--enable-source-maps',
      // Amazon RDS signs with an authority of its own (lib/db/tls.ts).
      ...(stage.deployed && { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' }),
    },
    vpc: data.network.vpc,
    securityGroups: [data.network.functions],
  };
  return { props, grantTo };
}
