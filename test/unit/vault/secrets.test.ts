import { randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../lib/app-error.ts';
import { createDataKeyCache } from '../../../lib/vault/data-key-cache.ts';
import { splitSealed } from '../../../lib/vault/sealed.ts';
import { openSecret, sealSecret } from '../../../lib/vault/secrets.ts';
import { itKeepsSecrets, type Sealing } from './sealing-promises.ts';

/** Two data keys in memory: how they are stored and wrapped is the business of the integration tests. */
function setUp(): Sealing {
  const keys = new Map<string, Uint8Array>([randomUUID(), randomUUID()].map((id) => [id, randomBytes(32)]));
  const [keyId = '', otherKeyId = ''] = keys.keys();
  const open = async (id: string) => {
    const key = keys.get(id);
    if (!key) throw new AppError('DATA_KEY_NOT_FOUND', 'There is no such data key.');
    return new Uint8Array(key);
  };
  return {
    vault: { environment: 'test', dataKeys: createDataKeyCache({ now: Date.now, open }) },
    keyId,
    otherKeyId,
  };
}

const PLACE = { table: 't', column: 'c', userId: 'u', version: 0 };

describe('sealed secrets', () => {
  itKeepsSecrets(setUp);

  it('stay closed under the id of another data key even if both were the same key', async () => {
    const open = async () => new Uint8Array(32).fill(7);
    const vault = { environment: 'test', dataKeys: createDataKeyCache({ now: Date.now, open }) };
    const [id, otherId] = [randomUUID(), randomUUID()];
    const sealed = await sealSecret(vault, id, PLACE, 'secret');
    const renamed = { ...sealed, body: sealed.body.replace(id, otherId) };
    await expect(openSecret(vault, PLACE, renamed)).rejects.toMatchObject({
      code: 'SEALED_VALUE_UNREADABLE',
    });
  });

  it('of the format before still open', async () => {
    const open = async () => new Uint8Array(32).fill(7);
    const vault = { environment: 'test', dataKeys: createDataKeyCache({ now: Date.now, open }) };
    const place = { table: 'user_pds_mapping', column: 'pds_private_key', userId: '4711', version: 3 };
    // As it was written when `v1` was the only format.
    const sealed = splitSealed(
      'v1.0f1d9b52-6c62-4f0e-9f5c-0d2f6c1f7a11.wAPzvyHKeeJ5S_xVK8uUReJVp7N7dnYasSpwgxOk7iI.M_vOMszV7I6CyiEmFKSSUS7zyl_khimH127c5Y5TH8s.iFtBu-ZRE1BsfHUMB1kjfcqW0-hj6XgcsRQP' +
        '.4788cfe086543dc0e09e5d0b1e98b124.360b602265abe41825885a35f405a70d',
    );
    expect(Buffer.from(await openSecret(vault, place, sealed)).toString()).toBe(
      'sealed in the format before',
    );
    const renamed = { ...sealed, body: sealed.body.replace(/^v1/, 'v2') };
    await expect(openSecret(vault, place, renamed)).rejects.toMatchObject({
      code: 'SEALED_VALUE_UNREADABLE',
    });
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('have no version %d', async (version) => {
    const { vault, keyId } = setUp();
    await expect(sealSecret(vault, keyId, { ...PLACE, version }, 'secret')).rejects.toMatchObject({
      code: 'SECRET_PLACE_INVALID',
    });
  });

  describe('of a form that nobody sealed', () => {
    let sealing: Sealing;
    let parts: string[];
    beforeAll(async () => {
      sealing = setUp();
      const { body, iv, tag } = await sealSecret(sealing.vault, sealing.keyId, PLACE, 'four');
      parts = [...body.split('.'), iv, tag];
    });

    it.each<[string, (parts: string[]) => string[]]>([
      ['another version', (p) => p.with(0, 'v3')],
      ['no version', (p) => p.slice(1)],
      ['an upper-case data key id', (p) => p.with(1, 'ABCDEF00-0000-4000-8000-000000000000')],
      ['a data key id that is no UUID', (p) => p.with(1, 'current')],
      ['a short salt', (p) => p.with(2, randomBytes(31).toString('base64url'))],
      ['a long commitment', (p) => p.with(3, randomBytes(33).toString('base64url'))],
      ['padding', (p) => p.with(4, `${p[4]}==`)],
      ['unused bits set in the last character', (p) => p.with(2, `${'A'.repeat(42)}B`)],
      ['the other base64 alphabet', (p) => p.with(2, `${'+'.repeat(42)}A`)],
      ['a line end', (p) => p.with(6, `${p[6]}\n`)],
      ['upper-case hex', (p) => p.with(5, 'ABCDEF00'.repeat(4))],
      ['a 96-bit iv', (p) => p.with(5, '00'.repeat(12))],
      ['a 32-bit tag', (p) => p.with(6, '00'.repeat(4))],
      ['no tag', (p) => p.with(6, '')],
      ['one part more', (p) => [...p, '']],
      ['nothing', () => []],
    ])('answers SEALED_VALUE_INVALID to %s', (_, change) => {
      expect(() => splitSealed(change(parts).join('.'))).toThrow(
        expect.objectContaining({
          code: 'SEALED_VALUE_INVALID',
          message: 'The stored value is not in the form of a sealed secret.',
        }),
      );
    });

    it('answers SEALED_VALUE_UNREADABLE to a right form that does not authenticate', async () => {
      const forged = splitSealed(parts.with(6, '00'.repeat(16)).join('.'));
      await expect(openSecret(sealing.vault, PLACE, forged)).rejects.toMatchObject({
        code: 'SEALED_VALUE_UNREADABLE',
        retryable: false,
      });
    });
  });
});
