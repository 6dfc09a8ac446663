import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { openKeyring, openVault } from '../../../lib/vault/open-vault.ts';

/** Never connects: a postgres client opens its connection with the first query. */
const sql = postgres('postgres://nobody@127.0.0.1:1/nothing');

const newKey = () => randomBytes(32).toString('base64');
const PDS_ENCRYPTION_KEY = newKey();
const NONE = {
  PDS_ENVIRONMENT: 'test',
  PDS_KMS_KEY_ID: undefined,
  PDS_KMS_OLD_KEY_IDS: undefined,
  PDS_ENCRYPTION_KEY: undefined,
  PDS_OLD_ENCRYPTION_KEYS: undefined,
};
const PDS_KMS_KEY_ID = 'arn:aws:kms:eu-west-1:0:key/1';

describe('openVault', () => {
  it('uses KMS when a KMS key is set, also beside an encryption key', async () => {
    const vault = await openVault({ ...NONE, PDS_KMS_KEY_ID, PDS_ENCRYPTION_KEY }, sql);
    expect(vault.wrapper.keyId).toBe(PDS_KMS_KEY_ID);
  });

  it('uses the encryption key when there is no KMS key, and names it by a fingerprint', async () => {
    const vault = await openVault({ ...NONE, PDS_ENCRYPTION_KEY }, sql);
    expect(vault.wrapper.keyId).toMatch(/^local:[0-9a-f]{16}$/);
  });

  it('accepts the key as the shell prints it, with a line end', async () => {
    const settings = { ...NONE, PDS_ENCRYPTION_KEY: `${PDS_ENCRYPTION_KEY}\n` };
    await expect(openVault(settings, sql)).resolves.toBeDefined();
  });

  it('names both settings when neither is set', async () => {
    await expect(openVault(NONE, sql)).rejects.toMatchObject({
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
    const error = await openVault({ ...NONE, PDS_ENCRYPTION_KEY: key }, sql).catch((e) => e);
    expect(error).toMatchObject({ code: 'SETTINGS_INVALID' });
    expect(error.message).toContain('PDS_ENCRYPTION_KEY');
    expect(error.stack).not.toContain(key);
  });
});

describe('openKeyring', () => {
  const namesOf = async (settings: Partial<Parameters<typeof openKeyring>[0]>) => {
    const { wrapper, oldWrappers } = await openKeyring({ ...NONE, ...settings });
    return [wrapper, ...oldWrappers].map(({ keyId }) => keyId);
  };

  it('lets old keys of both kinds open, and never wrap', async () => {
    const old = newKey();
    const [, oldName] = await namesOf({ PDS_ENCRYPTION_KEY, PDS_OLD_ENCRYPTION_KEYS: [old] });
    expect(oldName).toMatch(/^local:/);
    const olds = { PDS_KMS_OLD_KEY_IDS: ['2', '3'], PDS_OLD_ENCRYPTION_KEYS: [old] };
    expect(await namesOf({ PDS_KMS_KEY_ID, ...olds })).toEqual([PDS_KMS_KEY_ID, '2', '3', oldName]);
    expect(await namesOf({ PDS_ENCRYPTION_KEY, ...olds })).toEqual([
      expect.stringMatching(/^local:/),
      '2',
      '3',
      oldName,
    ]);
    await expect(namesOf(olds)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
  });

  it('does not take a PDS_ENCRYPTION_KEY beside KMS for an old one', async () => {
    expect(await namesOf({ PDS_KMS_KEY_ID, PDS_ENCRYPTION_KEY })).toEqual([PDS_KMS_KEY_ID]);
  });
});
