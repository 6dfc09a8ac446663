import { createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../../lib/vault/aes-gcm.ts';
import { openEnvelope, sealEnvelope } from '../../../lib/vault/envelope.ts';
import { forgeForTwoKeys } from './two-key-forgery.ts';

/** HKDF-SHA512 straight from RFC 5869, section 2, independent of Node's own. */
function hkdf(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  const pseudoRandomKey = createHmac('sha512', salt).update(key).digest();
  let output = Buffer.alloc(0);
  let block = Buffer.alloc(0);
  for (let i = 1; output.length < length; i += 1) {
    block = createHmac('sha512', pseudoRandomKey).update(block).update(info).update(Buffer.of(i)).digest();
    output = Buffer.concat([output, block]);
  }
  return output.subarray(0, length);
}

function derive(outer: Uint8Array, salt: Uint8Array, purpose: string) {
  const block = hkdf(outer, salt, Buffer.from(`pds-vault/v2/${purpose}`), 64);
  return { key: block.subarray(0, 32), commitment: block.subarray(32) };
}

const outerKey = randomBytes(32);
const associatedData = Buffer.from('place');
const secret = Buffer.from('secret');

describe('an envelope', () => {
  it('is HKDF-SHA512 and AES-256-GCM and nothing else: others can read it with the key', () => {
    // RFC 5869, A.1 with SHA-512 in place of SHA-256: the well-known answer.
    const knownAnswer = hkdf(
      Buffer.alloc(22, 0x0b),
      Buffer.from('000102030405060708090a0b0c', 'hex'),
      Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex'),
      42,
    );
    expect(knownAnswer.toString('hex')).toBe(
      '832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb',
    );

    for (const purpose of ['secret', 'data-key'] as const) {
      const sealed = sealEnvelope(outerKey, purpose, associatedData, secret);
      const { key, commitment } = derive(outerKey, sealed.salt, purpose);
      expect(Buffer.from(sealed.commitment)).toEqual(commitment);
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.iv, { authTagLength: 16 });
      decipher.setAAD(associatedData).setAuthTag(sealed.tag);
      expect(Buffer.concat([decipher.update(sealed.ciphertext), decipher.final()])).toEqual(secret);
    }
  });

  it('of the format before opens, and not as one of the present', () => {
    const [salt, iv] = [randomBytes(32), randomBytes(16)];
    const old = (use: string) => hkdf(outerKey, salt, Buffer.from(`pds-vault/v1/secret/${use}`), 32);
    const sealed = encrypt(old('encryption'), iv, associatedData, secret);
    const envelope = { version: 'v1', salt, commitment: old('commitment'), iv, ...sealed } as const;
    const opened = openEnvelope(outerKey, 'secret', associatedData, envelope);
    expect(Buffer.from(opened ?? [])).toEqual(secret);
    expect(openEnvelope(outerKey, 'data-key', associatedData, envelope)).toBeUndefined();
    expect(openEnvelope(outerKey, 'secret', associatedData, { ...envelope, version: 'v2' })).toBeUndefined();
    const present = sealEnvelope(outerKey, 'secret', associatedData, secret);
    expect(openEnvelope(outerKey, 'secret', associatedData, { ...present, version: 'v1' })).toBeUndefined();
  });

  it('that was forged to authenticate under two keys opens with none but its own', () => {
    const [mine, theirs] = [randomBytes(32), randomBytes(32)];
    const salt = randomBytes(32);
    const encryptionKey = (outer: Uint8Array) => derive(outer, salt, 'secret').key;
    const { commitment } = derive(mine, salt, 'secret');
    const iv = randomBytes(16);
    const forged = forgeForTwoKeys(encryptionKey(mine), encryptionKey(theirs), iv);

    // The trap is real: AES-GCM itself accepts the bytes under both keys, and reads two texts in them.
    const nothing = new Uint8Array();
    const [one, two] = [mine, theirs].map((key) => decrypt(encryptionKey(key), iv, nothing, forged));
    expect(one).toBeDefined();
    expect(two).toBeDefined();
    expect(one).not.toEqual(two);

    const envelope = { version: 'v2', salt, commitment, iv, ...forged } as const;
    expect(openEnvelope(mine, 'secret', nothing, envelope)).toEqual(one);
    expect(openEnvelope(theirs, 'secret', nothing, envelope)).toBeUndefined();
  });

  it('of one purpose does not open for the other', () => {
    const sealed = sealEnvelope(outerKey, 'secret', associatedData, secret);
    expect(openEnvelope(outerKey, 'secret', associatedData, sealed)).toBeDefined();
    expect(openEnvelope(outerKey, 'data-key', associatedData, sealed)).toBeUndefined();
  });

  it.each([0, 31, 33])('with a commitment of %i bytes stays closed, without an exception', (length) => {
    const sealed = sealEnvelope(outerKey, 'secret', associatedData, secret);
    const changed = {
      ...sealed,
      commitment: Buffer.concat([sealed.commitment, Buffer.of(0)]).subarray(0, length),
    };
    expect(openEnvelope(outerKey, 'secret', associatedData, changed)).toBeUndefined();
  });
});
