import * as z from 'zod/mini';
import { AppError } from './app-error.ts';
import {
  flag,
  hostname,
  ifEntered,
  key32,
  kmsKey,
  listOf,
  origin,
  origins,
  secrets,
  telegramIds,
  url,
  weight,
  wholeNumber,
} from './config/forms.ts';
import { readSecret } from './secret.ts';

export { NOT_ENTERED, type Secrets } from './config/forms.ts';

/**
 * Every setting there is: how it is read, what it defaults to, and whether it is a secret. A secret may be given
 * as `<NAME>_SECRET_ARN` instead; then its value is read from Secrets Manager, once, at start.
 */
export const SETTINGS = {
  PDS_ENVIRONMENT: {
    schema: z.string().check(z.regex(/^[a-z][a-z0-9-]{0,30}$/, 'must be a short lower-case name')),
  },
  PDS_PROVISIONING_ENABLED: { schema: flag, default: 'true' },
  PDS_MODE: {
    schema: z.enum(['local', 'remote', 'hybrid'], 'must be local, remote or hybrid'),
    default: 'local',
  },
  PDS_DID_METHOD: { schema: z.enum(['web', 'plc'], 'must be web or plc'), default: 'web' },
  PDS_PLC_URL: { schema: origin, default: 'https://plc.directory' },
  PDS_HANDLE_STRATEGY: {
    schema: z.enum(['username', 'generated'], 'must be username or generated'),
    default: 'username',
  },
  PDS_TIMES: {
    schema: z.enum(['production', 'local', 'test'], 'must be production, local or test'),
    default: 'production',
  },
  PDS_DOMAIN: { schema: hostname },
  PDS_EMAIL_DOMAIN: { schema: hostname },
  PDS_APP_ORIGIN: { schema: origin },
  PDS_ALLOWED_ORIGINS: { schema: z.optional(origins) },
  PDS_LOCAL_ENDPOINT: { schema: z.optional(origin) },
  PDS_LOCAL_WEIGHT: { schema: weight, default: '1' },
  PDS_REMOTE_PROVIDER: { schema: z.optional(origin) },
  PDS_REMOTE_WEIGHT: { schema: weight, default: '1' },
  PDS_REMOTE_INVITE_CODE: { schema: ifEntered(z.string()), secret: true },
  PDS_REMOTE_ADMIN_PASSWORD: { schema: ifEntered(z.string().check(z.minLength(8))), secret: true },
  PDS_KEY_ROTATION_DAYS: { schema: wholeNumber(1, 365), default: '90' },
  PDS_KEY_GRACE_DAYS: { schema: wholeNumber(1, 90), default: '7' },
  PDS_HANDLE_GRACE_DAYS: { schema: wholeNumber(1, 90), default: '7' },
  PDS_CREDENTIAL_CHECK_HOURS: { schema: wholeNumber(1, 1440), default: '1' },
  /** Whether a member may name a PDS at a private address, or one without TLS: on one machine only. */
  PDS_PRIVATE_TARGETS: { schema: flag, default: 'false' },
  PDS_ADMIN_DID: { schema: z.optional(z.string().check(z.regex(/^did:[a-z]+:.+$/, 'must be a DID'))) },
  PDS_ADMIN_PASSWORD: { schema: z.optional(z.string().check(z.minLength(8))), secret: true },
  PDS_RATE_LIMIT_BYPASS_KEY: { schema: ifEntered(z.string()), secret: true },
  PDS_KMS_KEY_ID: { schema: z.optional(z.string()) },
  PDS_KMS_OLD_KEY_IDS: {
    schema: z.optional(listOf(kmsKey, 'must be ids or ARNs of KMS keys separated by commas')),
  },
  PDS_ENCRYPTION_KEY: { schema: z.optional(key32), secret: true },
  PDS_OLD_ENCRYPTION_KEYS: {
    schema: z.optional(listOf(key32, 'must be keys of 32 bytes in base64 separated by commas')),
    secret: true,
  },
  PDS_ORIGIN_SECRET: { schema: z.optional(z.string().check(z.minLength(32))), secret: true },
  SESSION_SECRET: { schema: secrets, secret: true },
  INTERNAL_API_KEYS: { schema: z.optional(secrets), secret: true },
  DATABASE_URL: {
    schema: z
      .string()
      .check(
        z.refine(
          (value) => /^postgres(ql)?:\/\//.test(value) && URL.canParse(value),
          'must be a postgres:// URL, its password percent-encoded',
        ),
      ),
    secret: true,
  },
  TELEGRAM_BOT_TOKEN: {
    schema: z.string().check(z.regex(/^\d+:[A-Za-z0-9_-]{20,}$/, 'must look like 123456:ABC…')),
    secret: true,
  },
  TELEGRAM_BOT_USERNAME: { schema: z.string() },
  TELEGRAM_WEBHOOK_SECRET: {
    schema: z.optional(
      z.string().check(z.regex(/^[\w-]{32,256}$/, 'must be 32 to 256 of A-Z, a-z, 0-9, _ and -')),
    ),
    secret: true,
  },
  TELEGRAM_API_ROOT: { schema: url, default: 'https://api.telegram.org' },
  TELEGRAM_WEBAPP_PUBLIC_KEY: {
    schema: z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 32 bytes in hex')),
    default: 'e7bf03a2fa4602af4580703d88dda5bb59f32ed8b02a56c187fe7d34caed242d',
  },
  TELEGRAM_OIDC_ISSUER: { schema: url, default: 'https://oauth.telegram.org' },
  TELEGRAM_OIDC_CLIENT_ID: { schema: z.optional(z.string()) },
  TELEGRAM_OIDC_CLIENT_SECRET: { schema: z.optional(z.string()), secret: true },
  TELEGRAM_ADMIN_CHAT_ID: {
    schema: z.optional(
      z.pipe(
        z.string().check(z.regex(/^-?\d{1,15}$/, 'must be the id of a Telegram chat')),
        z.transform(Number),
      ),
    ),
  },
  ADMIN_TELEGRAM_IDS: { schema: z.optional(telegramIds) },
  OPERATORS_TOPIC_ARN: { schema: z.string() },
  PROVISIONING_QUEUE_URL: { schema: url },
  CHANGES_QUEUE_URL: { schema: url },
  HEALTH_QUEUE_URL: { schema: url },
  AUDIT_SIGNING_KEY_ID: { schema: z.string() },
  AUDIT_ROOTS_BUCKET: { schema: z.string() },
  EXPORTS_BUCKET: { schema: z.string() },
} as const satisfies Record<string, { schema: z.ZodMiniType; default?: string; secret?: boolean }>;

export type SettingName = keyof typeof SETTINGS;
export type Settings<Name extends SettingName = SettingName> = {
  [N in Name]: z.output<(typeof SETTINGS)[N]['schema']>;
};
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the named settings from the environment, secrets also from Secrets Manager.
 * All problems come together in one `AppError('SETTINGS_INVALID')` that names the settings and never their values.
 */
export async function readSettings<Name extends SettingName>(
  names: readonly Name[],
  env: Environment = process.env,
  secret: (arn: string) => Promise<string> = readSecret,
): Promise<Settings<Name>> {
  const problems: string[] = [];
  const entries = await Promise.all(
    names.map(async (name) => {
      const setting: { schema: z.ZodMiniType; default?: string; secret?: boolean } = SETTINGS[name];
      const arn = setting.secret ? env[`${name}_SECRET_ARN`] : undefined;
      try {
        const raw = env[name] || (arn ? await secret(arn) : undefined) || setting.default;
        const result = setting.schema.safeParse(name === 'DATABASE_URL' && raw ? databaseUrl(raw) : raw);
        if (result.success) return [name, result.data];
        problems.push(`${name}: ${raw === undefined ? 'is missing' : result.error.issues[0]?.message}`);
      } catch (error) {
        problems.push(
          `${name}: ${arn} cannot be read (${error instanceof Error ? error.name : 'unknown error'})`,
        );
      }
      return [name, undefined];
    }),
  );
  if (problems.length > 0) {
    throw new AppError('SETTINGS_INVALID', `Settings are missing or wrong. ${problems.sort().join('; ')}`);
  }
  return Object.fromEntries(entries);
}

/** RDS keeps its credentials as JSON; everything else here is a URL. */
function databaseUrl(value: string): string {
  if (!value.startsWith('{')) return value;
  const { username, password, host, port, dbname } = JSON.parse(value);
  const credentials = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
  return `postgres://${credentials}@${host}:${port}/${dbname}`;
}
