import { SETTINGS, type SettingName } from '../lib/config.ts';
import { providerProblems } from '../lib/pds/provider-settings.ts';
import type { TIMES } from '../lib/provisioning/times.ts';

/** The settings that an operator writes in the clear; secrets live in Secrets Manager (stacks/data.ts). */
const PLAIN = [
  'PDS_APP_ORIGIN',
  'PDS_ALLOWED_ORIGINS',
  'PDS_DOMAIN',
  'PDS_EMAIL_DOMAIN',
  'PDS_MODE',
  'PDS_LOCAL_ENDPOINT',
  'PDS_LOCAL_WEIGHT',
  'PDS_REMOTE_PROVIDER',
  'PDS_REMOTE_WEIGHT',
  'PDS_ADMIN_DID',
  'PDS_DID_METHOD',
  'PDS_PLC_URL',
  'PDS_CREDENTIAL_CHECK_HOURS',
  'PDS_KEY_ROTATION_DAYS',
  'PDS_KEY_GRACE_DAYS',
  'PDS_PRIVATE_TARGETS',
  'PDS_HANDLE_STRATEGY',
  'PDS_HANDLE_GRACE_DAYS',
  'PDS_PROVISIONING_ENABLED',
  'TELEGRAM_BOT_USERNAME',
  'TELEGRAM_API_ROOT',
  'TELEGRAM_WEBAPP_PUBLIC_KEY',
  'TELEGRAM_OIDC_ISSUER',
  'TELEGRAM_OIDC_CLIENT_ID',
  'TELEGRAM_ADMIN_CHAT_ID',
  'ADMIN_TELEGRAM_IDS',
] as const satisfies readonly SettingName[];
type PlainName = (typeof PLAIN)[number];

/** What a stage has where nothing is given: the local platform and its tests say everything themselves. */
const ON_THIS_MACHINE: Partial<Record<PlainName, string>> = {
  PDS_APP_ORIGIN: 'http://localhost:3001',
  PDS_DOMAIN: 'pnptv.test',
  PDS_EMAIL_DOMAIN: 'pnptv.test',
  PDS_LOCAL_ENDPOINT: 'http://localhost:3000',
  PDS_PRIVATE_TARGETS: 'true',
  TELEGRAM_BOT_USERNAME: 'local_bot',
};

/** One place where the app runs. Everything that differs between two places is here and nowhere else. */
export type Stage = {
  /** PDS_ENVIRONMENT: prefix of every physical name, and bound into every sealed value. */
  readonly name: string;
  /** Generations of the key above the data keys: the first wraps, the other may still open what it wrapped. */
  readonly dataKeys: DataKeyGenerations;
  /** True on AWS; false on one machine, where nothing watches and no edge stands in front. */
  readonly deployed: boolean;
  readonly times: keyof typeof TIMES;
  readonly settings: Readonly<Partial<Record<PlainName, string>>>;
  readonly database: Database;
  /** Who is mailed when an alarm goes off. */
  readonly operatorEmail: string | undefined;
  /** Where it is deployed; undefined lets the CDK CLI decide. */
  readonly region: string | undefined;
  /** CloudFront and WAF in front. Undefined: the operator's own proxy stands there (see stacks/edge.ts). */
  readonly edge: Edge | undefined;
};

export type DataKeyGenerations = readonly [number] | readonly [number, number];

export type Database =
  /** Aurora Serverless v2, in Aurora capacity units (2 GiB of memory each). */
  | { readonly kind: 'aurora'; readonly minCapacity: number; readonly maxCapacity: number }
  /** A PostgreSQL that exists already. Each secret holds a postgres:// URL or the JSON that RDS writes. */
  | { readonly kind: 'existing'; readonly secretArns: Readonly<Record<DatabaseRole, string>> };
export type DatabaseRole = 'owner' | 'api' | 'worker';

export type Edge = {
  /** The public hosted zone whose name is PDS_DOMAIN: certificates and records are made there. */
  readonly hostedZoneId: string;
  readonly domain: string;
  readonly appHost: string;
  /** Where CloudFront reaches the API. A name that no member can get: `api` is reserved. */
  readonly apiHost: string;
  readonly region: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The stage that the environment describes: `PDS_STAGE=local` and `test` run on this machine with defaults for all;
 * any other name (default `production`) is deployed and must be told its names. Throws one error with all problems,
 * each by the name of its variable. The only place of `infra/` that reads the environment.
 */
export function stageFromEnv(env: Environment): Stage {
  const problems: string[] = [];
  const name = env.PDS_STAGE || 'production';
  if (!SETTINGS.PDS_ENVIRONMENT.schema.safeParse(name).success)
    problems.push('PDS_STAGE: must be a short lower-case name');
  const times = name === 'local' || name === 'test' ? name : 'production';
  const deployed = times === 'production';

  const settings = readSettings(env, deployed ? {} : ON_THIS_MACHINE, problems);
  if (deployed) checkTls(settings, problems);
  if (deployed && settings.PDS_PRIVATE_TARGETS === 'true')
    problems.push('PDS_PRIVATE_TARGETS: is for one machine only, members could reach into your network');
  const operatorEmail = env.PDS_OPERATOR_EMAIL || undefined;
  if (deployed && !operatorEmail) problems.push('PDS_OPERATOR_EMAIL: is missing, nobody would hear an alarm');
  const stage: Stage = {
    name,
    dataKeys: readDataKeys(env, problems),
    deployed,
    times,
    settings,
    database: readDatabase(env, problems),
    operatorEmail,
    region: env.CDK_DEFAULT_REGION || env.AWS_REGION || undefined,
    edge: deployed ? readEdge(env, settings, problems) : undefined,
  };
  if (problems.length > 0)
    throw new Error(`The stage "${name}" is not complete. ${problems.sort().join('; ')}`);
  return stage;
}

function readSettings(env: Environment, defaults: Stage['settings'], problems: string[]): Stage['settings'] {
  const settings: Partial<Record<PlainName, string>> = {};
  for (const name of PLAIN) {
    const setting: { schema: { safeParse(value: unknown): Parsed }; default?: string } = SETTINGS[name];
    const value = env[name] || defaults[name];
    // The same parser as at the Lambda's start: what passes here passes there.
    const { success, error } = setting.schema.safeParse(value ?? setting.default);
    if (success) settings[name] = value;
    else problems.push(`${name}: ${value === undefined ? 'is missing' : error?.issues[0]?.message}`);
  }
  problems.push(...providerProblems(settings));
  return settings;
}
type Parsed = { success: boolean; error?: { issues: { message: string }[] } };

const OVER_TLS = [
  'PDS_APP_ORIGIN',
  'PDS_ALLOWED_ORIGINS',
  'PDS_LOCAL_ENDPOINT',
  'PDS_REMOTE_PROVIDER',
  'PDS_PLC_URL',
  'TELEGRAM_API_ROOT',
  'TELEGRAM_OIDC_ISSUER',
] as const;

/** A deployed stage talks to others over TLS only. */
function checkTls(settings: Stage['settings'], problems: string[]): void {
  for (const name of OVER_TLS)
    if (settings[name]?.split(',').some((url) => url.startsWith('http:')))
      problems.push(`${name}: must be https`);
}

/**
 * PDS_DATA_KEYS, for example `2,1`. README says in which order its values are deployed. Two follow each other, because
 * the data stack keeps the one before (stacks/data.ts).
 */
function readDataKeys({ PDS_DATA_KEYS = '' }: Environment, problems: string[]): DataKeyGenerations {
  const [first = 1, other] = PDS_DATA_KEYS === '' ? [] : PDS_DATA_KEYS.split(',').map(Number);
  const follow = other === undefined || Math.abs(first - other) === 1;
  if (!follow || !/^([1-9]\d?(,[1-9]\d?)?)?$/.test(PDS_DATA_KEYS))
    problems.push(
      'PDS_DATA_KEYS: must be a generation, or two that follow each other, such as 2,1: the first wraps',
    );
  return other === undefined ? [first] : [first, other];
}

function readDatabase(env: Environment, problems: string[]): Database {
  const names = {
    owner: 'PDS_DATABASE_OWNER_SECRET_ARN',
    api: 'PDS_DATABASE_API_SECRET_ARN',
    worker: 'PDS_DATABASE_WORKER_SECRET_ARN',
  };
  const [owner, api, worker] = [env[names.owner], env[names.api], env[names.worker]];
  if (owner && api && worker) return { kind: 'existing', secretArns: { owner, api, worker } };
  if (owner || api || worker)
    problems.push(`${Object.values(names).join(', ')}: give all three or none of them`);
  // Never 0: a cluster that has to wake up answers later than a PDS waits for a DID document (3 s).
  return { kind: 'aurora', minCapacity: 0.5, maxCapacity: 8 };
}

function readEdge(env: Environment, settings: Stage['settings'], problems: string[]): Edge | undefined {
  const hostedZoneId = env.PDS_HOSTED_ZONE_ID;
  if (!hostedZoneId) return undefined;
  const domain = settings.PDS_DOMAIN ?? '';
  const appHost = URL.canParse(settings.PDS_APP_ORIGIN ?? '')
    ? new URL(settings.PDS_APP_ORIGIN ?? '').host
    : '';
  const region = env.CDK_DEFAULT_REGION || env.AWS_REGION || '';
  if (!region) problems.push('AWS_REGION: is missing, PDS_HOSTED_ZONE_ID needs it');
  if (appHost !== domain && !appHost.endsWith(`.${domain}`))
    problems.push('PDS_APP_ORIGIN: must lie in the zone of PDS_DOMAIN when PDS_HOSTED_ZONE_ID is given');
  return { hostedZoneId, domain, appHost, apiHost: `api.${domain}`, region };
}
