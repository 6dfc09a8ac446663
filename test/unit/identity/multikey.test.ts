import { formatMultikey, P256Keypair, parseMultikey, Secp256k1Keypair } from '@atproto/crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newK256Key, newMemberKey } from '../../../lib/identity/keys.ts';
import { decodeMultikey, didKeyToMultikey, encodeMultikey } from '../../../lib/identity/multikey.ts';

const KEY_INVALID = expect.objectContaining({ code: 'KEY_INVALID' });
// https://w3c-ccg.github.io/did-key-spec/#test-vectors and #secp256k1
const ED25519_VECTOR = 'z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
const K256_VECTOR = 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
const ED25519_RFC8032 = Buffer.from(
  'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  'hex',
);

describe('Multikey', () => {
  it.each([
    ['ed25519', ED25519_VECTOR],
    ['k256', K256_VECTOR],
  ])('reads and writes the published %s vector', (algorithm, vector) => {
    const key = decodeMultikey(vector);
    expect(key.algorithm).toBe(algorithm);
    expect(encodeMultikey(key)).toBe(vector);
  });

  it('writes the first public key of RFC 8032 §7.1', () => {
    const multikey = encodeMultikey({ algorithm: 'ed25519', bytes: ED25519_RFC8032 });
    expect(multikey).toMatch(/^z6Mk/);
    expect(Buffer.from(decodeMultikey(multikey).bytes)).toEqual(ED25519_RFC8032);
  });

  it('agrees with the reference implementation on k256 and p256', async () => {
    for (const pair of [await Secp256k1Keypair.create(), await P256Keypair.create()]) {
      const multikey = didKeyToMultikey(pair.did());
      const key = decodeMultikey(multikey);
      expect(Buffer.from(key.bytes)).toEqual(Buffer.from(pair.publicKeyBytes()));
      expect(encodeMultikey(key)).toBe(formatMultikey(pair.jwtAlg, parseMultikey(multikey).keyBytes));
      expect(`did:key:${multikey}`).toBe(pair.did());
    }
  });

  it('reads back every key that it makes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (seed) => {
        const random = (size: number) => seed.subarray(0, size);
        for (const pair of [newMemberKey(random), newK256Key(random)]) {
          expect(encodeMultikey(decodeMultikey(pair.publicKeyMultibase))).toBe(pair.publicKeyMultibase);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('refuses text with any character changed, added or taken away, or reads another valid key', () => {
    const alphabet = [...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0OIl+/ '];
    fc.assert(
      fc.property(
        fc.constantFrom(ED25519_VECTOR, K256_VECTOR),
        fc.nat(60),
        fc.nat(1),
        fc.constantFrom('', ...alphabet),
        (vector, at, remove, insert) => {
          const changed = vector.slice(0, at) + insert + vector.slice(at + remove);
          fc.pre(changed !== vector);
          try {
            expect(encodeMultikey(decodeMultikey(changed))).toBe(changed);
          } catch (error) {
            expect(error).toEqual(KEY_INVALID);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['nothing', ''],
    ['the prefix alone', 'z'],
    ['another base', `m${Buffer.from('ed01'.padEnd(68, '0'), 'hex').toString('base64')}`],
    ['upper-case prefix', `Z${ED25519_VECTOR.slice(1)}`],
    ['white space around it', ` ${ED25519_VECTOR} `],
    ['a leading zero byte', `z1${ED25519_VECTOR.slice(1)}`],
    ['a did:key', `did:key:${ED25519_VECTOR}`],
    ['an X25519 key', 'z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc'],
  ])('refuses %s', (_, text) => {
    expect(() => decodeMultikey(text)).toThrow(KEY_INVALID);
  });

  it('refuses what is longer than any key before it decodes it, which would take quadratic time', () => {
    expect(() => decodeMultikey(`z${'2'.repeat(64)}`)).toThrow('it is too long');
  });

  it.each([
    ['31 bytes', 'ed25519', new Uint8Array(31)],
    ['y off the curve', 'ed25519', Uint8Array.of(2, ...new Uint8Array(31))],
    ['the neutral element', 'ed25519', Uint8Array.of(1, ...new Uint8Array(31))],
    [
      'a point of order 8',
      'ed25519',
      fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
    ],
    ['y not reduced', 'ed25519', fromHex('f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')],
    ['x off the curve', 'k256', Uint8Array.of(2, ...new Uint8Array(32).fill(0xff))],
    ['an uncompressed point', 'k256', uncompressedK256()],
    ['a wrong sign byte', 'k256', Uint8Array.of(4, ...decodeMultikey(K256_VECTOR).bytes.slice(1))],
    ['all zero', 'k256', new Uint8Array(33)],
    ['x off the curve', 'p256', Uint8Array.of(2, ...new Uint8Array(32).fill(0xff))],
  ] as const)('refuses to write %s as %s', (_, algorithm, bytes) => {
    expect(() => encodeMultikey({ algorithm, bytes })).toThrow(KEY_INVALID);
  });

  it.each(['did:web:a.test', `did:key:${K256_VECTOR}#${K256_VECTOR}`, `DID:KEY:${K256_VECTOR}`, 'did:key:'])(
    'refuses %s as did:key',
    (did) => {
      expect(() => didKeyToMultikey(did)).toThrow(KEY_INVALID);
    },
  );
});

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** The generator of secp256k1 in its 65-byte form, SEC 2 §2.4.1. */
function uncompressedK256(): Uint8Array {
  const x = '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
  const y = '483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8';
  return fromHex(`04${x}${y}`);
}
