import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { openVault } from '../../../lib/vault/open-vault.ts';

/** Never connects: a postgres client opens its connection with the first query. */
const sql = postgres('postgres://nobody@127.0.0.1:1/nothing');

const PDS_ENCRYPTION_KEY = randomBytes(32).toString('base64');

describe('openVault', () => {
  it('uses KMS when a KMS key is set, also beside an encryption key', async () => {
    const settings = { PDS_ENVIRONMENT: 'test', PDS_KMS_KEY_ID: 'arn:aws:kms:eu-west-1:0:key/1' };
    const vault = await openVault({ ...settings, PDS_ENCRYPTION_KEY }, sql);
    expect(vault.wrapper.keyId).toBe(settings.PDS_KMS_KEY_ID);
  });

  it('uses the encryption key when there is no KMS key, and names it by a fingerprint', async () => {
    const vault = await openVault({ PDS_ENVIRONMENT: 'test', PDS_ENCRYPTION_KEY }, sql);
    expect(vault.wrapper.keyId).toMatch(/^local:[0-9a-f]{16}$/);
  });

  it('accepts the key as the shell prints it, with a line end', async () => {
    const settings = { PDS_ENVIRONMENT: 'test', PDS_ENCRYPTION_KEY: `${PDS_ENCRYPTION_KEY}\n` };
    await expect(openVault(settings, sql)).resolves.toBeDefined();
  });

  it('names both settings when neither is set', async () => {
    await expect(openVault({ PDS_ENVIRONMENT: 'test' }, sql)).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringMatching(/PDS_KMS_KEY_ID.*PDS_ENCRYPTION_KEY/),
    });
  });

  it.each([
    ['31 bytes', randomBytes(31).toString('base64')],
    ['33 bytes', randomBytes(33).toString('base64')],
    ['hex', randomBytes(32).toString('hex')],
    ['base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
    ['no padding', PDS_ENCRYPTION_KEY.slice(0, 43)],
    ['trailing garbage', `${PDS_ENCRYPTION_KEY}!`],
  ])('refuses a key of %s, naming the setting and not its value', async (_, key) => {
    const error = await openVault({ PDS_ENVIRONMENT: 'test', PDS_ENCRYPTION_KEY: key }, sql).catch((e) => e);
    expect(error).toMatchObject({ code: 'SETTINGS_INVALID' });
    expect(error.message).toContain('PDS_ENCRYPTION_KEY');
    expect(error.stack).not.toContain(key);
  });
});
