import { type App, Duration, RemovalPolicy, SecretValue, Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import { NOT_ENTERED, type SettingName } from '../../lib/config.ts';
import { accept } from '../accepted-findings.ts';
import { addOperatorsTopic } from '../operators.ts';
import type { Stage } from '../stage.ts';
import { AuditRoots } from './audit-roots.ts';
import { Database } from './database.ts';
import { addExportsBucket } from './exports-bucket.ts';
import { Network } from './network.ts';

/** Secrets that an operator may well not have. */
const NOT_ALWAYS_GIVEN = new Set([
  'PDS_RATE_LIMIT_BYPASS_KEY',
  'PDS_REMOTE_INVITE_CODE',
  'PDS_REMOTE_ADMIN_PASSWORD',
]);

/**
 * Everything that cannot be made again: the members' data, the key that opens it, and what operators have entered or
 * confirmed. Deleting the stack leaves all of it behind; on AWS it refuses to be deleted at all.
 */
export class DataStack extends Stack {
  readonly network: Network;
  readonly database: Database;
  /**
   * Wrap the data keys under which members' secrets are sealed (design §5); without them they never open again. The
   * first wraps today, the others may still open what they wrapped.
   */
  readonly dataKeys: readonly [Key, ...Key[]];
  readonly secrets: Readonly<Partial<Record<SettingName, ISecret>>>;
  /** What proves the audit log to those who do not trust the database's owner. */
  readonly audit: AuditRoots;
  /** What members take with them, for some days. */
  readonly exports: Bucket;
  readonly operators: Topic;

  constructor(app: App, { stage }: { stage: Stage }) {
    super(app, `${stage.name}-data`, {
      description: 'PDS provisioning: data, keys, secrets',
      terminationProtection: stage.deployed,
      env: { region: stage.region },
    });
    accept(this, 'data');
    this.network = new Network(this, 'network');
    this.database = new Database(this, 'database', { stage, network: this.network });
    this.dataKeys = this.#createDataKeys(stage);
    this.audit = new AuditRoots(this, 'audit', { stage });
    this.exports = addExportsBucket(this);
    this.secrets = this.#createSecrets(stage);
    this.operators = addOperatorsTopic(this, stage);
  }

  /**
   * One for each generation, and the one before the first: until all stacks are deployed, CloudFormation refuses to let
   * go of what one of them imports.
   */
  #createDataKeys({ name, dataKeys: [first, ...others] }: Stage): readonly [Key, ...Key[]] {
    const create = (generation: number) => {
      const id = generation === 1 ? 'data-key' : `data-key-${generation}`;
      const key = new Key(this, id, {
        description: `Wraps the data keys of ${name}. Without it no member's secret ever opens again.`,
        alias: `${name}/${id}`,
        enableKeyRotation: true,
        pendingWindow: Duration.days(30),
        removalPolicy: RemovalPolicy.RETAIN,
      });
      this.exportValue(key.keyArn);
      return key;
    };
    const current = create(first);
    const old = others.map(create);
    const before = first - 1;
    if (before > 0 && !others.some((generation) => generation === before)) create(before);
    return [current, ...old];
  }

  /**
   * A secret per setting, named `<stage>/<setting>`. All that are needed begin with a random value: for
   * SESSION_SECRET, TELEGRAM_WEBHOOK_SECRET, INTERNAL_API_KEYS and PDS_ORIGIN_SECRET that is the value; the others are
   * somebody else's to choose, and an operator enters them once.
   */
  #createSecrets(stage: Stage): Partial<Record<SettingName, ISecret>> {
    const { PDS_MODE: mode = 'local' } = stage.settings;
    const enter = 'Enter it by `aws secretsmanager put-secret-value`';
    const descriptions: Partial<Record<SettingName, string>> = {
      SESSION_SECRET:
        'Keys the hashes of session tokens. README says how to rotate it without logging everybody out.',
      TELEGRAM_BOT_TOKEN: `The bot's token from BotFather. ${enter}.`,
      TELEGRAM_WEBHOOK_SECRET:
        'What Telegram sends with every update: give it to setWebhook as secret_token.',
      INTERNAL_API_KEYS:
        'Signs the requests of a backend that logs members in. README says how to rotate it; that backend has a copy.',
      ...(mode !== 'remote' && {
        PDS_ADMIN_PASSWORD: `The admin password of the PDS at PDS_LOCAL_ENDPOINT. ${enter}.`,
        PDS_RATE_LIMIT_BYPASS_KEY: `PDS_RATE_LIMIT_BYPASS_KEY of that PDS, if it limits rates. ${enter}.`,
      }),
      ...(mode !== 'local' && {
        PDS_REMOTE_INVITE_CODE: `An invite code of the PDS at PDS_REMOTE_PROVIDER, if it gave you one. ${enter}.`,
        PDS_REMOTE_ADMIN_PASSWORD: `The admin password of the PDS at PDS_REMOTE_PROVIDER, if it is yours. ${enter}.`,
      }),
      ...(stage.settings.TELEGRAM_OIDC_CLIENT_ID && {
        TELEGRAM_OIDC_CLIENT_SECRET: `The client secret that belongs to TELEGRAM_OIDC_CLIENT_ID. ${enter}.`,
      }),
      // On one machine no edge stands in front: hosts are believed as they come.
      ...(stage.deployed && {
        PDS_ORIGIN_SECRET: 'Proves to the API that a request came through the edge.',
      }),
    };
    // CloudFront's stack lives in us-east-1 and reads its copy there.
    const replicas = stage.edge && stage.edge.region !== 'us-east-1' ? [{ region: 'us-east-1' }] : undefined;
    return Object.fromEntries(
      Object.entries(descriptions).map(([name, description]) => [
        name,
        new Secret(this, name, {
          secretName: `${stage.name}/${name}`,
          description,
          ...(NOT_ALWAYS_GIVEN.has(name)
            ? { secretStringValue: SecretValue.unsafePlainText(NOT_ENTERED) }
            : { generateSecretString: { passwordLength: 48, excludePunctuation: true } }),
          removalPolicy: RemovalPolicy.RETAIN,
          ...(name === 'PDS_ORIGIN_SECRET' && { replicaRegions: replicas }),
        }),
      ]),
    );
  }
}
