import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import {
  findHash,
  hashRecoveryCode,
  newRecoveryCodes,
} from '../../../lib/auth/second-factor/recovery-codes.ts';

const { codes, hashes } = newRecoveryCodes('42');

it('makes ten codes of 100 bits, in groups that can be read', () => {
  expect(codes).toHaveLength(10);
  for (const code of codes) expect(code).toMatch(/^([0-9a-hjkmnp-tv-z]{5}-){3}[0-9a-hjkmnp-tv-z]{5}$/);
  expect(new Set(codes).size).toBe(10);
});

it('takes each letter from five bits of its own', () => {
  const { codes: made } = newRecoveryCodes('42', (size) =>
    Uint8Array.from({ length: size }, (_, n) => 0xe0 | n),
  );
  expect(made[0]).toBe('01234-56789-abcde-fghjk');
});

it('keeps hashes only, each of its own code, and of the member’s', () => {
  expect(hashes.map((hash) => hash.length)).toEqual(Array.from({ length: 10 }, () => 32));
  for (const [index, code] of codes.entries()) {
    expect(hashRecoveryCode('42', code)).toEqual(hashes[index]);
    expect(hashRecoveryCode('43', code)).not.toEqual(hashes[index]);
    expect(hashes[index]).not.toEqual(createHash('sha256').update(code).digest());
  }
});

it.each([
  ['capitals', (code: string) => code.toUpperCase()],
  ['no dashes', (code: string) => code.replaceAll('-', '')],
  ['blanks', (code: string) => ` ${code.replaceAll('-', ' ')} `],
  ['letters for digits', (code: string) => code.replaceAll('0', 'O').replaceAll('1', 'l')],
])('reads a code with %s', (_, typed) => {
  for (const [index, code] of codes.entries())
    expect(hashRecoveryCode('42', typed(code))).toEqual(hashes[index]);
});

it.each(['', '123456', 'x', '-'.repeat(40), codes[0]?.slice(1) ?? '', `${codes[0]}0`])(
  'takes %j for no code',
  (typed) => {
    expect(hashRecoveryCode('42', typed)).toBeUndefined();
  },
);

it('finds a hash among the stored ones, and none that is not there', () => {
  const [one, two] = hashes as [Uint8Array, Uint8Array];
  expect(findHash(hashes, Uint8Array.from(two))).toBe(two);
  expect(findHash([two], one)).toBeUndefined();
  expect(findHash([], one)).toBeUndefined();
});
