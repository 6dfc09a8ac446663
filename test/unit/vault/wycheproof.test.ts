import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../../lib/vault/aes-gcm.ts';

type Group = { keySize: number; ivSize: number; tagSize: number; tests: Vector[] };
type Vector = {
  tcId: number;
  comment: string;
  key: string;
  iv: string;
  aad: string;
  msg: string;
  ct: string;
  tag: string;
  result: 'valid' | 'invalid' | 'acceptable';
};

/** Project Wycheproof's AES-GCM vectors lie beside the project, not in it. */
const FILE = new URL('../../../../shared/vectors/wycheproof_aes_gcm_test.json', import.meta.url);
const present = existsSync(FILE);
const groups: Group[] = present ? JSON.parse(readFileSync(FILE, 'utf8')).testGroups : [];

const hex = (text: string) => Buffer.from(text, 'hex');
const toHex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const title = `AES-256-GCM against Project Wycheproof${present ? '' : ' (skipped: ../shared/vectors is not here)'}`;

describe.skipIf(!present)(title, () => {
  const vectors = groups
    .filter(({ keySize, tagSize }) => keySize === 256 && tagSize === 128)
    .flatMap(({ ivSize, tests }) => tests.map((vector) => ({ ...vector, ivSize })));
  const ours = vectors.filter(({ ivSize }) => ivSize === 128);

  it('has the vectors of our sizes: 256-bit keys, 128-bit IVs and tags', () => {
    expect(ours.length).toBeGreaterThanOrEqual(19);
  });

  // 96-bit IVs share the primitive, and all of Wycheproof's invalid tags for our key size have one.
  it.each(vectors.filter(({ ivSize }) => ivSize === 128 || ivSize === 96))(
    '$ivSize-bit IV, $tcId: $result $comment',
    (vector) => {
      const [key, iv, aad, msg] = [vector.key, vector.iv, vector.aad, vector.msg].map(hex) as [
        Buffer,
        Buffer,
        Buffer,
        Buffer,
      ];
      const opened = decrypt(key, iv, aad, { ciphertext: hex(vector.ct), tag: hex(vector.tag) });
      if (vector.result === 'invalid') {
        expect(opened).toBeUndefined();
        return;
      }
      expect(toHex(opened)).toBe(vector.msg);
      const { ciphertext, tag } = encrypt(key, iv, aad, msg);
      expect([toHex(ciphertext), toHex(tag)]).toEqual([vector.ct, vector.tag]);
    },
  );

  it('refuses a truncated tag that begins right', () => {
    for (const { key, iv, aad, ct, tag } of ours) {
      for (const length of [0, 4, 8, 12, 15]) {
        const truncated = { ciphertext: hex(ct), tag: hex(tag).subarray(0, length) };
        expect(decrypt(hex(key), hex(iv), hex(aad), truncated)).toBeUndefined();
      }
    }
  });
});
