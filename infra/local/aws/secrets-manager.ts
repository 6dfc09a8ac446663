import { randomBytes, randomUUID } from 'node:crypto';
import { readPrivateFile, writePrivateFile } from '../process/private-file.ts';
import { optionalText, optionalTextList, text } from './aws-input.ts';
import { type AwsActions, AwsError, type AwsInput, startAwsJson } from './aws-json.ts';
import type { ListeningServer } from './http-server.ts';

type Version = { id: string; stages: string[]; value: string; created: number };
type Secret = { name: string; arn: string; created: number; versions: Version[] };

export type SecretsManager = ReturnType<typeof openSecretsManager>;

/**
 * The secrets of the local Secrets Manager: string values with versions and staging labels. With a `file`
 * (mode 0600) they survive a restart.
 */
export function openSecretsManager(options: { file?: string; region?: string; account?: string } = {}) {
  const { file, region = 'us-east-1', account = '000000000000' } = options;
  const secrets = (file && readPrivateFile<Secret[]>(file)) || [];
  const save = () => file && writePrivateFile(file, JSON.stringify(secrets, null, 2));

  /** By name, ARN, or ARN without its random ending. */
  function find(reference: string): Secret {
    const secret = secrets.find(({ name, arn }) => [name, arn, arn.slice(0, -7)].includes(reference));
    if (!secret)
      throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return secret;
  }

  function create(name: string): Secret {
    if (secrets.some((secret) => secret.name === name)) {
      throw new AwsError('ResourceExistsException', `The secret ${name} already exists.`);
    }
    const ending = randomBytes(3).toString('hex');
    const arn = `arn:aws:secretsmanager:${region}:${account}:secret:${name}-${ending}`;
    const secret: Secret = { name, arn, created: Date.now() / 1000, versions: [] };
    secrets.push(secret);
    save();
    return secret;
  }

  function put(secret: Secret, value: string, id: string = randomUUID(), stages = ['AWSCURRENT']): Version {
    const existing = secret.versions.find((version) => version.id === id);
    if (existing) {
      // The same token with the same value is a repeated request, not a second one.
      if (existing.value === value) return existing;
      throw new AwsError('ResourceExistsException', `The token ${id} already stands for another value.`);
    }
    const previous = secret.versions.find((version) => version.stages.includes('AWSCURRENT'));
    const moved = stages.includes('AWSCURRENT') ? [...stages, 'AWSPREVIOUS'] : stages;
    for (const version of secret.versions)
      version.stages = version.stages.filter((stage) => !moved.includes(stage));
    if (previous && moved.includes('AWSPREVIOUS')) previous.stages.push('AWSPREVIOUS');
    const version: Version = { id, stages, value, created: Date.now() / 1000 };
    secret.versions = [...secret.versions.filter(({ stages }) => stages.length > 0), version];
    save();
    return version;
  }

  function get(secret: Secret, wanted: { id?: string; stage?: string }): Version {
    const stage = wanted.stage ?? (wanted.id ? undefined : 'AWSCURRENT');
    const version = secret.versions.find(
      ({ id, stages }) => (wanted.id ?? id) === id && (stage === undefined || stages.includes(stage)),
    );
    if (!version) {
      const message = `Secrets Manager can't find the specified secret value for ${stage ?? wanted.id}`;
      throw new AwsError('ResourceNotFoundException', message);
    }
    return version;
  }

  /**
   * Makes sure that the secret exists and returns its ARN. A string becomes its current value; a function is asked
   * for one only when the secret is new.
   */
  function ensureSecret(name: string, value: string | (() => string)): string {
    const secret = secrets.find((candidate) => candidate.name === name) ?? create(name);
    const current = secret.versions.find(({ stages }) => stages.includes('AWSCURRENT'));
    if (typeof value === 'string' ? current?.value !== value : !current) {
      put(secret, typeof value === 'string' ? value : value());
    }
    return secret.arn;
  }

  return { find, create, put, get, ensureSecret };
}

/** The actions of Secrets Manager that this project's SDK calls use, under their names on the wire. */
export function secretsManagerActions(secrets: SecretsManager): AwsActions {
  const find = (input: AwsInput) => secrets.find(text(input, 'SecretId'));
  const token = (input: AwsInput) => optionalText(input, 'ClientRequestToken');
  return {
    'secretsmanager.CreateSecret': (input) => {
      const value = optionalText(input, 'SecretString');
      const secret = secrets.create(text(input, 'Name'));
      const version = value === undefined ? undefined : secrets.put(secret, value, token(input));
      return { ARN: secret.arn, Name: secret.name, VersionId: version?.id };
    },
    'secretsmanager.PutSecretValue': (input) => {
      const stages = optionalTextList(input, 'VersionStages');
      const secret = find(input);
      const version = secrets.put(secret, text(input, 'SecretString'), token(input), stages);
      return { ARN: secret.arn, Name: secret.name, VersionId: version.id, VersionStages: version.stages };
    },
    'secretsmanager.GetSecretValue': (input) => {
      const secret = find(input);
      const wanted = { id: optionalText(input, 'VersionId'), stage: optionalText(input, 'VersionStage') };
      const version = secrets.get(secret, wanted);
      return {
        ARN: secret.arn,
        Name: secret.name,
        VersionId: version.id,
        VersionStages: version.stages,
        SecretString: version.value,
        CreatedDate: version.created,
      };
    },
    'secretsmanager.DescribeSecret': (input) => {
      const { arn, name, created, versions } = find(input);
      const VersionIdsToStages = Object.fromEntries(versions.map(({ id, stages }) => [id, stages]));
      return { ARN: arn, Name: name, CreatedDate: created, VersionIdsToStages };
    },
  };
}

/** Secrets Manager alone on a loopback port, for tests: `AWS_ENDPOINT_URL_SECRETS_MANAGER` = `url`. */
export async function startSecretsManager(
  options: { file?: string; port?: number } = {},
): Promise<ListeningServer & Pick<SecretsManager, 'ensureSecret'>> {
  const secrets = openSecretsManager({ file: options.file });
  const server = await startAwsJson(secretsManagerActions(secrets), { port: options.port });
  return { ...server, ensureSecret: secrets.ensureSecret };
}
