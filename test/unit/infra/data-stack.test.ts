import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { DataStack } from '../../../infra/stacks/data.ts';
import { stageFromEnv } from '../../../infra/stage.ts';
import { appFor, LOCAL, PRODUCTION, resourcesOf, stacksOf, synthesize } from './synthesized.ts';

const production = synthesize(PRODUCTION);
const local = synthesize(LOCAL);

/** Replacing one of these loses data, keys, or what people have entered: their logical ids never change. */
const STATEFUL = {
  'AWS::KMS::Key': ['auditsigningkey43E35D3F', 'datakey6D03DE4A'],
  'AWS::RDS::DBCluster': ['databasecluster3E82B98A'],
  'AWS::S3::Bucket': ['auditroots50D0C8EC', 'exports222B3037'],
  'AWS::SNS::Topic': ['operators6A13076E'],
  'AWS::SecretsManager::Secret': [
    'INTERNALAPIKEYSACF3AEE3',
    'PDSADMINPASSWORDB1DC132E',
    'PDSORIGINSECRETA72BA5A7',
    'PDSRATELIMITBYPASSKEY51CA9805',
    'SESSIONSECRET0B4D0058',
    'TELEGRAMBOTTOKENC22BCF31',
    'TELEGRAMWEBHOOKSECRET56241EF1',
    'databasedatabaseapiF29B5904',
    'databasedatabaseownerB6946ADC',
    'databasedatabaseworkerDFC271E5',
  ],
};

describe('data stack', () => {
  it('keeps the logical ids of what holds state', () => {
    const ids = Object.keys(STATEFUL).map((type) => [
      type,
      resourcesOf(production.data, type)
        .map(([id]) => id)
        .sort(),
    ]);
    expect(Object.fromEntries(ids)).toEqual(STATEFUL);
  });

  it('leaves everything that holds state behind when it is deleted', () => {
    const kept = Object.keys(STATEFUL).flatMap((type) => resourcesOf(production.data, type));
    expect(kept.length).toBeGreaterThan(8);
    for (const [id, { DeletionPolicy, UpdateReplacePolicy }] of kept) {
      expect([id, DeletionPolicy]).toEqual([id, expect.stringMatching(/^(Retain|Snapshot)$/)]);
      expect([id, UpdateReplacePolicy]).toEqual([id, expect.stringMatching(/^(Retain|Snapshot)$/)]);
    }
  });

  it('cannot be deleted by mistake once it is deployed', () => {
    const protectedOf = (env: object) =>
      stacksOf(appFor({ ...env })).find((stack) => stack.stackName.endsWith('-data'))?.terminationProtection;
    expect(protectedOf(PRODUCTION)).toBe(true);
    expect(protectedOf(LOCAL)).toBe(false);
    production.data?.hasResourceProperties('AWS::RDS::DBCluster', { DeletionProtection: true });
  });

  it('rotates the key of the data keys, and gives 30 days to notice its deletion', () => {
    production.data?.hasResourceProperties('AWS::KMS::Key', {
      EnableKeyRotation: true,
      PendingWindowInDays: 30,
    });
  });

  it('keeps the key before, and its export, when another generation wraps', () => {
    const keysOf = (PDS_DATA_KEYS: string) => {
      const stage = stageFromEnv({ ...PRODUCTION, PDS_DATA_KEYS });
      const data = Template.fromStack(new DataStack(new App(), { stage }));
      const exported = JSON.stringify(data.toJSON().Outputs);
      const ids = resourcesOf(data, 'AWS::KMS::Key').map(([id]) => id);
      return ids.filter((id) => id.startsWith('datakey') && exported.includes(`"${id}"`)).sort();
    };
    const [first = '', ...none] = keysOf('1');
    expect([first, none]).toEqual([STATEFUL['AWS::KMS::Key'][1], []]);
    const [second = '', ...others] = keysOf('2').filter((id) => id !== first);
    expect(others).toEqual([]);
    expect(keysOf('2')).toEqual(keysOf('2,1'));
    expect(keysOf('2')).toContain(first);
    expect(keysOf('3')).toContain(second);
    expect(keysOf('3')).not.toContain(first);
  });

  it('locks the roots of the audit log for a year, for everybody', () => {
    production.data?.hasResourceProperties('AWS::S3::Bucket', {
      ObjectLockEnabled: true,
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 366 } } },
      PublicAccessBlockConfiguration: Match.objectLike({ BlockPublicPolicy: true, BlockPublicAcls: true }),
    });
  });

  it('lets no one use the key by its policy but through IAM', () => {
    production.data?.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: [
          Match.objectLike({ Principal: { AWS: Match.objectLike({ 'Fn::Join': Match.anyValue() }) } }),
        ],
      },
    });
    const [[, key] = []] = resourcesOf(production.data, 'AWS::KMS::Key');
    expect(JSON.stringify(key?.Properties.KeyPolicy)).toMatch(/:root/);
  });

  it('never lets the database sleep, and encrypts it', () => {
    production.data?.hasResourceProperties('AWS::RDS::DBCluster', {
      StorageEncrypted: true,
      BackupRetentionPeriod: 14,
      ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 8 },
    });
    production.data?.resourcePropertiesCountIs('AWS::RDS::DBInstance', { PubliclyAccessible: true }, 0);
  });

  it('lets only the functions into the database', () => {
    const ingress = resourcesOf(production.data, 'AWS::EC2::SecurityGroupIngress').filter(([id]) =>
      id.startsWith('databasecluster'),
    );
    expect(ingress).toHaveLength(1);
    expect(JSON.stringify(ingress[0]?.[1].Properties.SourceSecurityGroupId)).toContain('networkfunctions');
  });

  it('generates a login for each database role and attaches it to the cluster', () => {
    for (const username of ['pds_owner', 'pds_api', 'pds_worker']) {
      production.data?.hasResourceProperties('AWS::SecretsManager::Secret', {
        GenerateSecretString: Match.objectLike({
          SecretStringTemplate: JSON.stringify({ username }),
          GenerateStringKey: 'password',
        }),
      });
    }
    production.data?.resourceCountIs('AWS::SecretsManager::SecretTargetAttachment', 3);
  });

  it('carries the edge’s secret to us-east-1, and has none where no edge stands in front', () => {
    production.data?.hasResourceProperties('AWS::SecretsManager::Secret', {
      Name: 'production/PDS_ORIGIN_SECRET',
      ReplicaRegions: [{ Region: 'us-east-1' }],
    });
    local.data?.resourcePropertiesCountIs(
      'AWS::SecretsManager::Secret',
      { Name: 'local/PDS_ORIGIN_SECRET' },
      0,
    );
  });

  it('mails the operators', () => {
    production.data?.hasResourceProperties('AWS::SNS::Subscription', { Endpoint: 'operators@example.org' });
  });

  it('makes no database where one is given', () => {
    const arn = (role: string) => `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${role}-a1b2c3`;
    const { data, pds } = synthesize({
      ...PRODUCTION,
      PDS_DATABASE_OWNER_SECRET_ARN: arn('owner'),
      PDS_DATABASE_API_SECRET_ARN: arn('api'),
      PDS_DATABASE_WORKER_SECRET_ARN: arn('worker'),
    });
    data?.resourceCountIs('AWS::RDS::DBCluster', 0);
    pds?.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'production-pds-info',
      Environment: { Variables: Match.objectLike({ DATABASE_URL_SECRET_ARN: arn('api') }) },
    });
  });
});
