import { randomInt } from 'node:crypto';
import * as z from 'zod';
import { boolean, type Cloud, kind, number, physicalName } from './cloud.ts';

const generate = z.strictObject({
  PasswordLength: number.default(32),
  ExcludeCharacters: z.string().default(''),
  ExcludeLowercase: boolean.default(false),
  ExcludeUppercase: boolean.default(false),
  ExcludeNumbers: boolean.default(false),
  ExcludePunctuation: boolean.default(false),
  IncludeSpace: boolean.default(false),
  RequireEachIncludedType: boolean.default(true),
  SecretStringTemplate: z.string().optional(),
  GenerateStringKey: z.string().optional(),
});
type Generate = z.output<typeof generate>;

/** AWS::SecretsManager::Secret. A value is made once and kept; values that AWS leaves to operators come from the platform. */
const secret = kind(
  {
    Name: z.string().optional(),
    SecretString: z.string().optional(),
    GenerateSecretString: generate.optional(),
  },
  ['ReplicaRegions', 'Type'],
  async (cloud, resource, { Name, SecretString, GenerateSecretString }) => {
    const value = cloud.operatorSecret(resource) ?? SecretString;
    const make = () => generateSecret(GenerateSecretString ?? generate.parse({}));
    const arn = cloud.secrets.ensureSecret(Name ?? physicalName(resource), value ?? make);
    return { ref: arn, attributes: { Id: arn } };
  },
);

/** AWS::SecretsManager::SecretTargetAttachment: writes where the database is into the secret of its user. */
const attachment = kind(
  { SecretId: z.string(), TargetId: z.string() },
  ['TargetType'],
  async (cloud, _resource, { SecretId, TargetId }) => {
    const database = cloud.databases.get(TargetId);
    if (!database) throw new Error(`${TargetId} is no database that runs locally`);
    const { name, ...place } = cloud.secrets.find(SecretId);
    const login = JSON.parse(cloud.secrets.get({ name, ...place }, {}).value);
    const { engine, host, port, name: dbname } = database;
    cloud.secrets.ensureSecret(
      name,
      JSON.stringify({ ...login, engine, host, port, ...(dbname && { dbname }) }),
    );
    cloud.databaseLogins.set(login.username, databaseUrl({ ...login, host, port, dbname }));
    return { ref: place.arn, attributes: { Id: place.arn } };
  },
);

/** The value of a secret, or of one key of its JSON: `{{resolve:secretsmanager:…}}` in a template. */
export async function secretValue(
  { secrets }: Pick<Cloud, 'secrets'>,
  secretId: string,
  jsonKey: string,
): Promise<string> {
  const { value } = secrets.get(secrets.find(secretId), {});
  return jsonKey === '' ? value : String(JSON.parse(value)[jsonKey]);
}

/**
 * A random value by the rules of GenerateSecretString.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-secretsmanager-secret-generatesecretstring.html
 */
export function generateSecret(rules: Generate): string {
  const excluded = new Set(rules.ExcludeCharacters);
  const sets = [
    ...(rules.ExcludeLowercase ? [] : ['abcdefghijklmnopqrstuvwxyz']),
    ...(rules.ExcludeUppercase ? [] : ['ABCDEFGHIJKLMNOPQRSTUVWXYZ']),
    ...(rules.ExcludeNumbers ? [] : ['0123456789']),
    ...(rules.ExcludePunctuation ? [] : ['!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~']),
    ...(rules.IncludeSpace ? [' '] : []),
  ]
    .map((set) => [...set].filter((character) => !excluded.has(character)))
    .filter((set) => set.length > 0);
  const pick = (from: readonly string[]) => from[randomInt(from.length)] ?? '';
  const required = rules.RequireEachIncludedType ? sets.map(pick) : [];
  const rest = Array.from({ length: Math.max(0, rules.PasswordLength - required.length) }, () =>
    pick(sets.flat()),
  );
  const password = shuffle([...required, ...rest]).join('');
  if (rules.GenerateStringKey === undefined) return password;
  return JSON.stringify({
    ...JSON.parse(rules.SecretStringTemplate ?? '{}'),
    [rules.GenerateStringKey]: password,
  });
}

function shuffle(characters: readonly string[]): string[] {
  const left = [...characters];
  return characters.map(() => left.splice(randomInt(left.length), 1)[0] ?? '');
}

function databaseUrl(login: {
  username: string;
  password: string;
  host: string;
  port: number;
  dbname?: string;
}) {
  const credentials = `${encodeURIComponent(login.username)}:${encodeURIComponent(login.password)}`;
  return `postgres://${credentials}@${login.host}:${login.port}/${login.dbname ?? 'postgres'}`;
}

export const secretKinds = {
  'AWS::SecretsManager::Secret': secret,
  'AWS::SecretsManager::SecretTargetAttachment': attachment,
};
