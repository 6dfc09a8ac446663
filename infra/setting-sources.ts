import type { IGrantable } from 'aws-cdk-lib/aws-iam';
import { Grant } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { SETTINGS, type SettingName } from '../lib/config.ts';
import type { Ground } from './function.ts';
import type { DatabaseRole, Stage } from './stage.ts';

/** How a setting reaches a function, and what the function must be allowed to do to use it. */
type Source =
  | { readonly value: string; readonly grant?: (grantee: IGrantable) => void }
  | { readonly secret: ISecret };
export type SettingSources = Readonly<Partial<Record<SettingName, Source>>>;

/**
 * Where the settings of this stage come from. A setting without a source here is optional or has a default
 * (lib/config.ts); asking for a required one fails the synthesis.
 */
export function settingSources(
  {
    stage,
    data,
    queue,
    changesQueue,
    healthQueue,
  }: Pick<Ground, 'stage' | 'data' | 'queue' | 'changesQueue' | 'healthQueue'>,
  databaseRole: DatabaseRole,
): SettingSources {
  const [wrapping, ...old] = data.dataKeys;
  const plain = Object.entries(stage.settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, { value }]);
  const secrets = Object.entries(data.secrets).map(([name, secret]) => [name, { secret }]);
  return {
    ...Object.fromEntries(plain),
    ...Object.fromEntries(secrets),
    PDS_ENVIRONMENT: { value: stage.name },
    PDS_TIMES: { value: stage.times },
    DATABASE_URL: { secret: data.database.credentials[databaseRole] },
    OPERATORS_TOPIC_ARN: {
      value: data.operators.topicArn,
      grant: (to) => data.operators.grantPublish(to),
    },
    ...(queue && {
      PROVISIONING_QUEUE_URL: { value: queue.queueUrl, grant: (to) => queue.grantSendMessages(to) },
    }),
    ...(changesQueue && {
      CHANGES_QUEUE_URL: { value: changesQueue.queueUrl, grant: (to) => changesQueue.grantSendMessages(to) },
    }),
    ...(healthQueue && {
      HEALTH_QUEUE_URL: { value: healthQueue.queueUrl, grant: (to) => healthQueue.grantSendMessages(to) },
    }),
    AUDIT_SIGNING_KEY_ID: {
      value: data.audit.signingKey.keyArn,
      grant: (to) => data.audit.signingKey.grant(to, 'kms:Sign', 'kms:GetPublicKey'),
    },
    AUDIT_ROOTS_BUCKET: {
      value: data.audit.roots.bucketName,
      grant: (to) =>
        Grant.addToPrincipal({
          grantee: to,
          actions: ['s3:PutObject'],
          resourceArns: [data.audit.roots.arnForObjects('roots/*')],
        }),
    },
    PDS_KMS_KEY_ID: {
      value: wrapping.keyArn,
      grant: (to) => grantDataKeys(stage, [wrapping], ['kms:GenerateDataKey', 'kms:Decrypt'], to),
    },
    ...(old.length > 0 && {
      PDS_KMS_OLD_KEY_IDS: {
        value: old.map(({ keyArn }) => keyArn).join(','),
        grant: (to) => grantDataKeys(stage, old, ['kms:Decrypt'], to),
      },
    }),
    EXPORTS_BUCKET: {
      value: data.exports.bucketName,
      // The API only signs URLs by which members read.
      grant: (to) =>
        Grant.addToPrincipal({
          grantee: to,
          actions: databaseRole === 'worker' ? EXPORTER : ['s3:GetObject'],
          resourceArns: [data.exports.arnForObjects('*')],
        }),
    },
  };
}

/** Making exports, and removing them. */
const EXPORTER = ['s3:PutObject', 's3:AbortMultipartUpload', 's3:GetObject', 's3:DeleteObject'];

/**
 * Making and opening data keys of this stage, or opening alone, and nothing else with these keys: KMS itself compares
 * the encryption context that the vault sends (lib/vault/key-wrapper.ts) with the stage's name.
 */
function grantDataKeys(stage: Stage, keys: readonly IKey[], actions: string[], grantee: IGrantable): void {
  Grant.addToPrincipal({
    grantee,
    actions,
    resourceArns: keys.map(({ keyArn }) => keyArn),
    conditions: { StringEquals: { 'kms:EncryptionContext:environment': stage.name } },
  });
}

/** The environment variables for the named settings, and a function that grants what they need. */
export function provide(sources: SettingSources, names: readonly SettingName[]) {
  const environment: Record<string, string> = {};
  const grants: ((grantee: IGrantable) => void)[] = [];
  for (const name of names) {
    const source = sources[name];
    if (!source) {
      if (isRequired(name))
        throw new Error(`No source is known for the setting ${name}: add it to setting-sources.ts`);
    } else if ('secret' in source) {
      environment[`${name}_SECRET_ARN`] = source.secret.secretArn;
      grants.push((to) => source.secret.grantRead(to));
    } else {
      environment[name] = source.value;
      if (source.grant) grants.push(source.grant);
    }
  }
  const grantTo = (grantee: IGrantable) => {
    for (const grant of grants) grant(grantee);
  };
  return { environment, grantTo };
}

function isRequired(name: SettingName): boolean {
  const setting: { schema: { safeParse(value: unknown): { success: boolean } }; default?: string } =
    SETTINGS[name];
  return setting.default === undefined && !setting.schema.safeParse(undefined).success;
}
