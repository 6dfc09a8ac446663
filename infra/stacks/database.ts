import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseSecret,
} from 'aws-cdk-lib/aws-rds';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { DatabaseRole, Stage } from '../stage.ts';
import type { Network } from './network.ts';

/** The database's own name, and those of its three roles (migrations/*_roles.sql). */
const NAME = 'pds';
const ROLES: Record<DatabaseRole, string> = { owner: 'pds_owner', api: 'pds_api', worker: 'pds_worker' };

/**
 * PostgreSQL and the credentials of its roles. Our own is Aurora Serverless v2: encrypted, snapshots of 14 days, kept
 * when the stack goes. The migration gives `pds_api` and `pds_worker` the passwords that stand in their secrets: to
 * change one, put a new value, invoke `<stage>-database-migrate`, and restart the functions that run (they read it at
 * their start): `aws lambda update-function-configuration --function-name NAME --description "$(date)"`.
 */
export class Database extends Construct {
  readonly credentials: Readonly<Record<DatabaseRole, ISecret>>;
  /** Undefined when the database is not ours to watch. */
  readonly cluster: DatabaseCluster | undefined;

  constructor(scope: Construct, id: string, { stage, network }: { stage: Stage; network: Network }) {
    super(scope, id);
    const { database } = stage;
    if (database.kind === 'existing') {
      const { owner, api, worker } = database.secretArns;
      this.credentials = {
        owner: Secret.fromSecretCompleteArn(this, 'owner', owner),
        api: Secret.fromSecretCompleteArn(this, 'api', api),
        worker: Secret.fromSecretCompleteArn(this, 'worker', worker),
      };
      return;
    }
    const secretOf = (role: DatabaseRole) => {
      const secret = new DatabaseSecret(this, `database-${role}`, {
        username: ROLES[role],
        secretName: `${stage.name}/database/${role}`,
      });
      secret.applyRemovalPolicy(RemovalPolicy.RETAIN);
      return secret;
    };
    const owner = secretOf('owner');
    const clusterIdentifier = `${stage.name}-pds`;
    // Made here, since the one that RDS would make keeps its lines for ever. It takes a cluster whose name is known; a
    // change that would replace the cluster fails on that name, and so it should.
    const log = new LogGroup(this, 'log', {
      logGroupName: `/aws/rds/cluster/${clusterIdentifier}/postgresql`,
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const cluster = new DatabaseCluster(this, 'cluster', {
      clusterIdentifier,
      engine: DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_18_4 }),
      writer: ClusterInstance.serverlessV2('writer'),
      readers: stage.deployed ? [ClusterInstance.serverlessV2('standby', { scaleWithWriter: true })] : [],
      serverlessV2MinCapacity: database.minCapacity,
      serverlessV2MaxCapacity: database.maxCapacity,
      defaultDatabaseName: NAME,
      credentials: Credentials.fromSecret(owner),
      vpc: network.vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
      storageEncrypted: true,
      iamAuthentication: true,
      backup: { retention: Duration.days(14) },
      cloudwatchLogsExports: ['postgresql'],
      deletionProtection: stage.deployed,
      removalPolicy: RemovalPolicy.SNAPSHOT,
    });
    cluster.node.addDependency(log);
    cluster.connections.allowDefaultPortFrom(network.functions, 'Functions query it');
    this.cluster = cluster;
    this.credentials = {
      owner: cluster.secret ?? owner,
      api: secretOf('api').attach(cluster),
      worker: secretOf('worker').attach(cluster),
    };
  }
}
