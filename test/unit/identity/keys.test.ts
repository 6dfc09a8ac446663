import { createPublicKey, verify } from 'node:crypto';
import { Secp256k1Keypair, verifySignature } from '@atproto/crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newK256Key, newMemberKey, signK256 } from '../../../lib/identity/keys.ts';
import { decodeMultikey } from '../../../lib/identity/multikey.ts';

describe('newMemberKey', () => {
  it('takes the seed as private key: RFC 8032 §7.1, test 1', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const { publicKeyMultibase, privateKey } = newMemberKey(() => seed);
    expect(Buffer.from(privateKey)).toEqual(seed);
    expect(Buffer.from(decodeMultikey(publicKeyMultibase).bytes).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    expect(Buffer.from(ed25519.sign(new Uint8Array(), privateKey)).toString('hex')).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  it('makes another key each time, and its signature verifies with the published key', () => {
    const [one, other] = [newMemberKey(), newMemberKey()];
    expect(one.publicKeyMultibase).not.toBe(other.publicKeyMultibase);
    const message = Buffer.from('hello');
    const x = Buffer.from(decodeMultikey(one.publicKeyMultibase).bytes).toString('base64url');
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    expect(verify(null, message, publicKey, ed25519.sign(message, one.privateKey))).toBe(true);
    expect(verify(null, message, publicKey, ed25519.sign(message, other.privateKey))).toBe(false);
  });

  it('leaves the random source its own buffer', () => {
    const pool = new Uint8Array(32).fill(7);
    const { privateKey } = newMemberKey(() => pool);
    pool.fill(0);
    expect([...privateKey]).toEqual(Array(32).fill(7));
  });
});

describe('newK256Key', () => {
  it('is the key pair that the reference implementation makes of the same private key', async () => {
    const { publicKeyMultibase, privateKey } = newK256Key();
    expect(privateKey).toHaveLength(32);
    const reference = await Secp256k1Keypair.import(privateKey);
    expect(`did:key:${publicKeyMultibase}`).toBe(reference.did());
  });

  it('makes a valid key of any random bytes, all zero and all one included', () => {
    for (const byte of [0x00, 0xff]) {
      const { privateKey } = newK256Key((size) => new Uint8Array(size).fill(byte));
      expect(secp256k1.utils.isValidSecretKey(privateKey)).toBe(true);
    }
  });
});

describe('signK256', () => {
  it('makes the low-S compact signature that the reference verifier asks for, for any message', async () => {
    const { publicKeyMultibase, privateKey } = newK256Key();
    const did = `did:key:${publicKeyMultibase}`;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (message) => {
        const signature = signK256(privateKey, message);
        expect(signature).toHaveLength(64);
        expect(secp256k1.Signature.fromBytes(signature, 'compact').hasHighS()).toBe(false);
        expect(await verifySignature(did, message, signature)).toBe(true);
        expect(await verifySignature(did, Uint8Array.of(...message, 0), signature)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });
});
