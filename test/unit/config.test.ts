import { describe, expect, it } from 'vitest';
import { readSettings, SETTINGS, type SettingName } from '../../lib/config.ts';

const noSecrets = async () => {
  throw new Error('Secrets Manager was asked');
};
const problems = async (names: SettingName[], env: Record<string, string>, secret = noSecrets) => {
  const error = await readSettings(names, env, secret).then(
    () => undefined,
    (reason: Error) => reason,
  );
  return error?.message ?? '';
};

describe('settings', () => {
  it('gives each setting its type and its default', async () => {
    const settings = await readSettings(
      ['PDS_PROVISIONING_ENABLED', 'PDS_MODE', 'PDS_DOMAIN', 'ADMIN_TELEGRAM_IDS', 'PDS_ADMIN_DID'],
      { PDS_DOMAIN: 'pnptv.app', ADMIN_TELEGRAM_IDS: '1,22' },
    );
    expect(settings).toEqual({
      PDS_PROVISIONING_ENABLED: true,
      PDS_MODE: 'local',
      PDS_DOMAIN: 'pnptv.app',
      ADMIN_TELEGRAM_IDS: ['1', '22'],
      PDS_ADMIN_DID: undefined,
    });
  });

  it('reports every missing and wrong setting together, by name and never by value', async () => {
    const message = await problems(['PDS_DOMAIN', 'SESSION_SECRET', 'PDS_MODE', 'TELEGRAM_BOT_TOKEN'], {
      SESSION_SECRET: 'tooshortsecret',
      PDS_MODE: 'both',
      TELEGRAM_BOT_TOKEN: 'not-a-token-but-secret',
    });
    for (const name of ['PDS_DOMAIN', 'SESSION_SECRET', 'PDS_MODE', 'TELEGRAM_BOT_TOKEN'])
      expect(message).toContain(name);
    expect(message).toContain('is missing');
    expect(message).not.toMatch(/tooshortsecret|not-a-token/);
  });

  // Node's error for a URL that it cannot read holds that URL, password and all.
  it.each(['s3cret#pw', 's3cret/pw', 's3cret?pw'])(
    'refuses a database URL with the password %s, without it',
    async (password) => {
      const message = await problems(['DATABASE_URL'], {
        DATABASE_URL: `postgres://pds_api:${password}@db.example.org:5432/pds`,
      });
      expect(message).toContain('DATABASE_URL: must be a postgres:// URL, its password percent-encoded');
      expect(message).not.toContain('s3cret');
    },
  );

  it('reads a secret from Secrets Manager when it is given as an ARN', async () => {
    const env = { SESSION_SECRET_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:1:secret:s' };
    const settings = await readSettings(['SESSION_SECRET'], env, async (arn) => `${arn}-value-of-the-secret`);
    expect(settings.SESSION_SECRET).toEqual([
      'arn:aws:secretsmanager:eu-central-1:1:secret:s-value-of-the-secret',
    ]);
  });

  it('takes two session secrets, a line each, while one follows the other', async () => {
    const [one, other, third] = ['1', '2', '3'].map((letter) => letter.repeat(32));
    const read = async (SESSION_SECRET: string) =>
      (await readSettings(['SESSION_SECRET'], { SESSION_SECRET })).SESSION_SECRET;
    expect(await read(`${one}\n`)).toEqual([one]);
    expect(await read(`${one}\r\n${other}`)).toEqual([one, other]);
    const fromAws = { SESSION_SECRET_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:1:secret:s' };
    expect(await readSettings(['SESSION_SECRET'], fromAws, async () => `${one}\n${other}`)).toEqual({
      SESSION_SECRET: [one, other],
    });
    expect(await read('has spaces, commas and more than 32 characters')).toHaveLength(1);
    for (const wrong of [`${one}\n${other}\n${third}`, `${one}\nshort`, `${one}\n\n${other}`]) {
      expect(await problems(['SESSION_SECRET'], { SESSION_SECRET: wrong })).toContain('SESSION_SECRET: must');
    }
  });

  it('names the setting whose secret cannot be read, without what went wrong inside', async () => {
    const message = await problems(['SESSION_SECRET'], { SESSION_SECRET_SECRET_ARN: 'arn:x' });
    expect(message).toContain('SESSION_SECRET: arn:x cannot be read');
    expect(message).not.toContain('was asked');
  });

  it('does not look up an ARN for a setting that is no secret', async () => {
    expect(await problems(['PDS_DOMAIN'], { PDS_DOMAIN_SECRET_ARN: 'arn:x' })).toContain(
      'PDS_DOMAIN: is missing',
    );
  });

  it('turns the credentials that RDS keeps as JSON into a database URL', async () => {
    const json = JSON.stringify({
      username: 'pds_api',
      password: 'p@:/ß',
      host: 'db.local',
      port: 5432,
      dbname: 'pds',
    });
    const { DATABASE_URL } = await readSettings(
      ['DATABASE_URL'],
      { DATABASE_URL_SECRET_ARN: 'arn:x' },
      async () => json,
    );
    const url = new URL(DATABASE_URL);
    expect(decodeURIComponent(url.password)).toBe('p@:/ß');
    expect(url.host + url.pathname).toBe('db.local:5432/pds');
  });

  it.each([
    ['PDS_DOMAIN', 'PNPtv.app'],
    ['PDS_DOMAIN', 'localhost'],
    ['PDS_DOMAIN', 'a..b'],
    ['PDS_APP_ORIGIN', 'https://app.pnptv.app/'],
    ['PDS_APP_ORIGIN', 'ftp://app.pnptv.app'],
    ['PDS_ENCRYPTION_KEY', 'AAAA'],
    ['PDS_OLD_ENCRYPTION_KEYS', 'AAAA'],
    ['PDS_OLD_ENCRYPTION_KEYS', `${'A'.repeat(43)}=,`],
    ['PDS_KMS_OLD_KEY_IDS', 'alias/data-key'],
    ['PDS_KMS_OLD_KEY_IDS', 'arn:aws:kms:eu-central-1:111122223333:alias/data-key'],
    ['PDS_KMS_OLD_KEY_IDS', 'one, two'],
    ['PDS_PROVISIONING_ENABLED', 'yes'],
    ['ADMIN_TELEGRAM_IDS', '1,two'],
    ['PDS_ALLOWED_ORIGINS', '*'],
    ['PDS_ALLOWED_ORIGINS', 'null'],
    ['PDS_ALLOWED_ORIGINS', 'https://*.example.org'],
    ['PDS_ALLOWED_ORIGINS', 'https://www.example.org/'],
    ['PDS_ALLOWED_ORIGINS', 'https://WWW.example.org'],
    ['PDS_ALLOWED_ORIGINS', 'https://www.example.org:443'],
    ['PDS_ALLOWED_ORIGINS', 'https://user@www.example.org'],
    ['PDS_ALLOWED_ORIGINS', 'https://www.example.org, https://shop.example.org'],
    ['PDS_ALLOWED_ORIGINS', 'https://www.example.org,'],
    ['PDS_ALLOWED_ORIGINS', 'www.example.org'],
    ['DATABASE_URL', 'mysql://x'],
  ] as const)('refuses %s=%s', async (name, value) => {
    expect(await problems([name], { [name]: value })).toContain(name);
  });

  it('takes exact origins, one or several', async () => {
    const PDS_ALLOWED_ORIGINS = 'https://www.example.org,http://localhost:5173';
    const settings = await readSettings(['PDS_ALLOWED_ORIGINS'], { PDS_ALLOWED_ORIGINS });
    expect(settings.PDS_ALLOWED_ORIGINS).toEqual(['https://www.example.org', 'http://localhost:5173']);
  });

  it('treats an empty value as missing', async () => {
    expect(await problems(['PDS_DOMAIN'], { PDS_DOMAIN: '' })).toContain('PDS_DOMAIN: is missing');
  });

  it('knows which settings are secrets', () => {
    const secrets = Object.entries(SETTINGS).filter(([, setting]) => 'secret' in setting);
    expect(secrets.map(([name]) => name).sort()).toMatchInlineSnapshot(`
      [
        "DATABASE_URL",
        "INTERNAL_API_KEYS",
        "PDS_ADMIN_PASSWORD",
        "PDS_ENCRYPTION_KEY",
        "PDS_OLD_ENCRYPTION_KEYS",
        "PDS_ORIGIN_SECRET",
        "PDS_RATE_LIMIT_BYPASS_KEY",
        "PDS_REMOTE_ADMIN_PASSWORD",
        "PDS_REMOTE_INVITE_CODE",
        "SESSION_SECRET",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_OIDC_CLIENT_SECRET",
        "TELEGRAM_WEBHOOK_SECRET",
      ]
    `);
  });
});
