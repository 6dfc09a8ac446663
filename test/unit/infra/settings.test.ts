import { globSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { kebabCase } from '../../../infra/routes.ts';
import { SETTINGS, type SettingName } from '../../../lib/config.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { functionsOf, PRODUCTION, synthesize, WORKERS } from './synthesized.ts';

const FUNCTIONS = path.resolve(import.meta.dirname, '../../../functions');
const files = globSync('*/*.ts', { cwd: FUNCTIONS }).sort();
const idOf = (file: string) => file.replace(/\.ts$/, '').replace(path.sep, '-');

/** Values that pass, for functions whose modules want one when they load. */
const SAMPLES: Partial<Record<SettingName, unknown>> = {
  PDS_ENVIRONMENT: 'test',
  PDS_TIMES: 'test',
  PDS_DOMAIN: 'members.test',
  PDS_EMAIL_DOMAIN: 'members.test',
  PDS_APP_ORIGIN: 'http://localhost:3001',
  PDS_LOCAL_ENDPOINT: 'http://localhost:3000',
  PDS_LOCAL_WEIGHT: 1,
  PDS_REMOTE_WEIGHT: 1,
  PDS_MODE: 'local',
  PDS_DID_METHOD: 'web',
  PDS_HANDLE_STRATEGY: 'username',
  PDS_PROVISIONING_ENABLED: true,
  PDS_ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
  SESSION_SECRET: 'a secret of a test, long enough to pass',
  DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/none',
  TELEGRAM_BOT_TOKEN: '1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  TELEGRAM_BOT_USERNAME: 'test_bot',
  TELEGRAM_API_ROOT: 'https://api.telegram.org',
  OPERATORS_TOPIC_ARN: 'arn:aws:sns:eu-central-1:123456789012:operators',
  PROVISIONING_QUEUE_URL: 'http://127.0.0.1:1/queue',
  CHANGES_QUEUE_URL: 'http://127.0.0.1:1/changes',
  HEALTH_QUEUE_URL: 'http://127.0.0.1:1/health',
  PDS_PLC_URL: 'https://plc.directory',
  PDS_CREDENTIAL_CHECK_HOURS: 1,
  PDS_KEY_ROTATION_DAYS: 90,
  PDS_KEY_GRACE_DAYS: 7,
  PDS_PRIVATE_TARGETS: false,
  PDS_HANDLE_GRACE_DAYS: 7,
  AUDIT_SIGNING_KEY_ID: 'key',
  AUDIT_ROOTS_BUCKET: 'bucket',
};
const read = vi.hoisted(() => new Set<string>());
vi.mock('../../../lib/config.ts', async (original) => ({
  ...(await original<object>()),
  readSettings: async (names: readonly SettingName[]) => {
    for (const name of names) read.add(name);
    return Object.fromEntries(names.map((name) => [name, SAMPLES[name]]));
  },
}));

/** The settings that a function asks for while its module loads, whichever of our modules does the asking. */
async function settingsReadBy(file: string): Promise<string[]> {
  read.clear();
  vi.resetModules();
  await import(path.join(FUNCTIONS, file));
  return [...read].sort();
}

const templates = synthesize({
  ...PRODUCTION,
  PDS_MODE: 'hybrid',
  PDS_REMOTE_PROVIDER: 'https://pds.elsewhere.example',
  PDS_LOCAL_WEIGHT: '1',
  PDS_REMOTE_WEIGHT: '1',
  PDS_ADMIN_DID: 'did:web:admin.example.org',
  PDS_HANDLE_STRATEGY: 'username',
  PDS_DID_METHOD: 'web',
  PDS_DATA_KEYS: '2,1',
  PDS_PLC_URL: 'https://plc.directory',
  PDS_CREDENTIAL_CHECK_HOURS: '1',
  PDS_KEY_ROTATION_DAYS: '90',
  PDS_KEY_GRACE_DAYS: '7',
  PDS_PRIVATE_TARGETS: 'false',
  PDS_HANDLE_GRACE_DAYS: '7',
  PDS_PROVISIONING_ENABLED: 'true',
  ADMIN_TELEGRAM_IDS: '1',
  TELEGRAM_API_ROOT: 'https://api.telegram.org',
  PDS_ALLOWED_ORIGINS: 'https://www.example.org',
  TELEGRAM_WEBAPP_PUBLIC_KEY: 'ab'.repeat(32),
  TELEGRAM_OIDC_ISSUER: 'https://oauth.telegram.org',
  TELEGRAM_OIDC_CLIENT_ID: '123456',
  TELEGRAM_ADMIN_CHAT_ID: '-1001234567890',
});
const functions = functionsOf(templates, 'production');

/** Names of the environment variables that CDK gives. */
function environmentOf(id: string): string[] {
  const environment = functions.get(id)?.properties.Environment as { Variables: object } | undefined;
  return Object.keys(environment?.Variables ?? {});
}

describe('functions', () => {
  it('are the contracts, the workers and the migration, no more and no less', () => {
    const contracts = CONTRACTS.map(({ subsystem, operationId }) => `${subsystem}-${kebabCase(operationId)}`);
    const others = [...WORKERS, 'auth-deliver-messages', 'auth-preflight', 'database-migrate'];
    expect(files.map(idOf).sort()).toEqual([...contracts, ...others].sort());
    expect([...functions.keys()].sort()).toEqual(files.map(idOf).sort());
  });

  it.each(files)('functions/%s is given exactly the settings that it reads', async (file) => {
    const reads = await settingsReadBy(file);
    const given = environmentOf(idOf(file)).map((name) => name.replace(/_SECRET_ARN$/, ''));
    // With KMS there is no key of the operator's own: settings that no stage on AWS has.
    const withoutKms = ['PDS_ENCRYPTION_KEY', 'PDS_OLD_ENCRYPTION_KEYS'];
    expect(given.filter((name) => name in SETTINGS).sort()).toEqual(
      reads.filter((name) => !withoutKms.includes(name)),
    );
  });

  it('migrates with the login of the owner and sets the passwords of the others', () => {
    expect(environmentOf('database-migrate')).toEqual(
      expect.arrayContaining([
        'DATABASE_URL_SECRET_ARN',
        'API_DATABASE_URL_SECRET_ARN',
        'WORKER_DATABASE_URL_SECRET_ARN',
      ]),
    );
  });
});
