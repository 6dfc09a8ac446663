import postgres from 'postgres';
import { expect, inject, it } from 'vitest';
import { lambda, runStacks } from './assembly.ts';

const login = (username: string) => ({
  Type: 'AWS::SecretsManager::Secret',
  Properties: {
    GenerateSecretString: {
      SecretStringTemplate: JSON.stringify({ username }),
      GenerateStringKey: 'password',
      ExcludeCharacters: '"@/\\',
    },
  },
});
const attached = (SecretId: string) => ({
  Type: 'AWS::SecretsManager::SecretTargetAttachment',
  Properties: {
    SecretId: { Ref: SecretId },
    TargetId: { Ref: 'cluster' },
    TargetType: 'AWS::RDS::DBCluster',
  },
});
const ofSecret = (key: string) => ({
  'Fn::Join': ['', ['{{resolve:secretsmanager:', { Ref: 'owner' }, `:SecretString:${key}::}}`]],
});

it('makes of a database cluster a database on the local PostgreSQL, owned by a master user who is no superuser', async () => {
  const { superuserUrl } = inject('testServer');
  const cloud = await runStacks(
    {
      data: {
        Resources: {
          ownerattachment: attached('owner'),
          owner: login('cluster_owner'),
          cluster: {
            Type: 'AWS::RDS::DBCluster',
            Properties: {
              Engine: 'aurora-postgresql',
              DatabaseName: 'cluster_test',
              MasterUsername: ofSecret('username'),
              MasterUserPassword: ofSecret('password'),
              ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 8 },
            },
          },
          writer: {
            Type: 'AWS::RDS::DBInstance',
            Properties: { Engine: 'aurora-postgresql', DBClusterIdentifier: { Ref: 'cluster' } },
          },
          show: lambda('show', {
            Environment: {
              Variables: {
                PORT: { 'Fn::GetAtt': ['cluster', 'Endpoint.Port'] },
                DATABASE_URL: {
                  'Fn::Join': [
                    '',
                    ['{{resolve:secretsmanager:', { Ref: 'ownerattachment' }, ':SecretString:host::}}'],
                  ],
                },
              },
            },
          }),
        },
      },
    },
    { show: 'export const handler = async () => process.env;' },
    { postgresUrl: superuserUrl },
  );
  const url = cloud.databaseLogins.get('cluster_owner');
  const sql = postgres(url ?? '', { max: 1 });
  try {
    const [row] = await sql`
      SELECT current_database() AS database, rolsuper, rolcreaterole, rolcreatedb
      FROM pg_roles WHERE rolname = current_user`;
    expect(row).toEqual({
      database: 'cluster_test',
      rolsuper: false,
      rolcreaterole: true,
      rolcreatedb: true,
    });
    await sql`CREATE TABLE mine (id int)`;
    const environment = JSON.parse((await cloud.functions.invoke('show', {})).payload);
    expect(environment).toMatchObject({ PORT: new URL(superuserUrl).port, DATABASE_URL: '127.0.0.1' });
  } finally {
    await sql.end();
    await cloud.stop();
    const superuser = postgres(superuserUrl, { max: 1 });
    await superuser`DROP DATABASE cluster_test`;
    await superuser`DROP ROLE cluster_owner`;
    await superuser.end();
  }
});
