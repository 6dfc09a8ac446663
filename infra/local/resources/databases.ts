import postgres from 'postgres';
import * as z from 'zod';
import { SUPERUSER } from '../postgres/cluster.ts';
import { type Cloud, kind, physicalName } from './cloud.ts';

const engine = z.string().regex(/postgres/, 'only PostgreSQL runs locally');
const capacity = [
  'AllocatedStorage',
  'AutoMinorVersionUpgrade',
  'BackupRetentionPeriod',
  'CloudwatchLogsExports',
  'CopyTagsToSnapshot',
  'DBClusterIdentifier',
  'DBClusterParameterGroupName',
  'DBInstanceClass',
  'DBInstanceIdentifier',
  'DBParameterGroupName',
  'DBSubnetGroupName',
  'DatabaseInsightsMode',
  'DeletionProtection',
  'EnableCloudwatchLogsExports',
  'EnableHttpEndpoint',
  'EnableIAMDatabaseAuthentication',
  'EnablePerformanceInsights',
  'EngineMode',
  'EngineVersion',
  'MonitoringInterval',
  'MonitoringRoleArn',
  'MultiAZ',
  'NetworkType',
  'PerformanceInsightsEnabled',
  'PerformanceInsightsKmsKeyId',
  'PerformanceInsightsRetentionPeriod',
  'Port',
  'PreferredBackupWindow',
  'PreferredMaintenanceWindow',
  'PromotionTier',
  'PubliclyAccessible',
  'ServerlessV2ScalingConfiguration',
  'StorageEncrypted',
  'StorageType',
  'VPCSecurityGroups',
  'VpcSecurityGroupIds',
];

/** AWS::RDS::DBCluster: a database on the real local PostgreSQL, with its master user. */
const cluster = kind(
  {
    Engine: engine,
    DatabaseName: z.string().optional(),
    MasterUsername: z.string(),
    MasterUserPassword: z.string(),
  },
  capacity,
  async (cloud, resource, { Engine, DatabaseName, MasterUsername, MasterUserPassword }) => {
    const login = { username: MasterUsername, password: MasterUserPassword, database: DatabaseName };
    return createDatabase(cloud, physicalName(resource), Engine, login);
  },
);

/** AWS::RDS::DBInstance: a database of its own, or a member of a cluster, which is nothing more here. */
const instance = kind(
  {
    Engine: engine,
    DBName: z.string().optional(),
    MasterUsername: z.string().optional(),
    MasterUserPassword: z.string().optional(),
  },
  capacity,
  async (cloud, resource, { Engine, DBName, MasterUsername, MasterUserPassword }) => {
    const id = physicalName(resource);
    if (!MasterUsername || !MasterUserPassword) return { ref: id };
    const login = { username: MasterUsername, password: MasterUserPassword, database: DBName };
    return createDatabase(cloud, id, Engine, login);
  },
);

async function createDatabase(
  cloud: Cloud,
  id: string,
  engineName: string,
  login: { username: string; password: string; database: string | undefined },
) {
  const { hostname, port } = new URL(cloud.postgresUrl);
  await ensureDatabase(cloud.postgresUrl, login);
  const endpoint = { host: hostname, port: Number(port), engine: engineName, name: login.database };
  cloud.databases.set(id, endpoint);
  const attributes = {
    'Endpoint.Address': hostname,
    'Endpoint.Port': port,
    'ReadEndpoint.Address': hostname,
  };
  return { ref: id, attributes };
}

/** The master user is what RDS makes of it: no superuser, but one who may create roles and databases. */
async function ensureDatabase(
  superuserUrl: string,
  { username, password, database }: { username: string; password: string; database: string | undefined },
): Promise<void> {
  if (username === SUPERUSER) {
    throw new Error(`${SUPERUSER} is the superuser here; give the master user another name`);
  }
  const sql = postgres(superuserUrl, { max: 1, onnotice: () => {} });
  try {
    const [role] = await sql`SELECT FROM pg_roles WHERE rolname = ${username}`;
    const verb = role ? 'ALTER' : 'CREATE';
    // Role statements take no parameters; format() quotes.
    const [statement] = await sql<[{ text: string }]>`
      SELECT format(${`${verb} ROLE %I LOGIN CREATEROLE CREATEDB PASSWORD %L`}, ${username}::text, ${password}::text) AS text`;
    await sql.unsafe(statement.text);
    if (database === undefined) return;
    const [existing] = await sql`SELECT FROM pg_database WHERE datname = ${database}`;
    if (!existing) await sql`CREATE DATABASE ${sql(database)} OWNER ${sql(username)}`;
  } finally {
    await sql.end();
  }
}

export const databaseKinds = { 'AWS::RDS::DBCluster': cluster, 'AWS::RDS::DBInstance': instance };
