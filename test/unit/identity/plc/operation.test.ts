import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newK256Key } from '../../../../lib/identity/keys.ts';
import { encodeDagCbor } from '../../../../lib/identity/plc/dag-cbor.ts';
import {
  anyOperation,
  cidOf,
  dataOf,
  didOf,
  isDidPlc,
  signerOf,
  signOperation,
} from '../../../../lib/identity/plc/operation.ts';
import { k256, makeDid, p256, plc } from './judge.ts';

const ours = newK256Key();
const ourKey = `did:key:${ours.publicKeyMultibase}`;

describe('an operation of did:plc', () => {
  it('has the DID and the CID that the reference implementation gives it', async () => {
    const signer = await k256();
    const { op, did } = await makeDid(signer, [signer.did()]);
    const { cid } = await plc.getLastOpWithCid([op]);
    expect([didOf(op), cidOf(op)]).toEqual([did, cid.toString()]);
    expect(isDidPlc(did)).toBe(true);
  });

  it('that we sign is accepted after the one that it names', async () => {
    const pds = await k256();
    const { op, did } = await makeDid(pds, [ourKey, pds.did()]);
    const member = await p256();
    const data = dataOf(op);
    if (!data) throw new Error('no data');
    const next = signOperation(
      { ...data, rotationKeys: [member.did(), ...data.rotationKeys] },
      cidOf(op),
      ours.privateKey,
    );
    const after = await plc.validateOperationLog(did, [op, next]);
    expect(after?.rotationKeys).toEqual([member.did(), ourKey, pds.did()]);
    expect(cidOf(next)).toBe((await plc.getLastOpWithCid([op, next])).cid.toString());
  });

  it('is the same one, to the letter, whenever it is signed', async () => {
    const signer = await k256();
    const { op } = await makeDid(signer, [signer.did()]);
    const data = dataOf(op);
    if (!data) throw new Error('no data');
    const sign = () => signOperation(data, cidOf(op), ours.privateKey);
    expect(sign()).toEqual(sign());
  });

  it.each([
    ['k256', k256],
    ['p256', p256],
  ])('shows who signed it: %s', async (_, make) => {
    const [signer, other] = [await make(), await make()];
    const { op } = await makeDid(signer, [other.did(), signer.did()]);
    expect(signerOf(op, [other.did(), signer.did()])).toBe(signer.did());
    expect(signerOf(op, [other.did()])).toBeUndefined();
    expect(signerOf({ ...op, prev: 'somebody' }, [signer.did()])).toBeUndefined();
    expect(signerOf({ ...op, sig: `${op.sig}=` }, [signer.did()])).toBeUndefined();
  });

  it('of the first years is understood as the reference implementation does', async () => {
    const signer = await k256();
    const legacy = await plc.deprecatedSignCreate(
      {
        type: 'create',
        signingKey: signer.did(),
        recoveryKey: ourKey,
        handle: 'alice.pnptv.test',
        service: 'https://pds.pnptv.test',
        prev: null,
      },
      signer as never,
    );
    const { type, prev, sig, ...data } = plc.normalizeOp(legacy);
    expect(dataOf(anyOperation.parse(legacy))).toEqual(data);
    expect(didOf(legacy)).toBe(await plc.didForCreateOp(legacy));
  });

  it('with a field that nobody knows is none', async () => {
    const signer = await k256();
    const { op } = await makeDid(signer, [signer.did()]);
    expect(anyOperation.safeParse({ ...op, more: 'x' }).success).toBe(false);
  });
});

describe('DAG-CBOR', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.string({ minLength: 250, maxLength: 300 }),
  );
  it('is what the reference implementation hashes, whatever texts an operation holds', async () => {
    const texts = fc.dictionary(text, text, { maxKeys: 30, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 30 }), texts, async (alsoKnownAs, verificationMethods) => {
        const services = { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: 'https://pds.test' } };
        const op = {
          type: 'plc_operation' as const,
          rotationKeys: [],
          verificationMethods,
          alsoKnownAs,
          services,
          prev: null,
          sig: '',
        };
        expect(cidOf(op)).toBe((await plc.getLastOpWithCid([op])).cid.toString());
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [null, 'f6'],
    ['', '60'],
    ['ü', '62c3bc'],
    ['x'.repeat(24), `7818${'78'.repeat(24)}`],
    [[], '80'],
    [{ bb: 'a', c: [null] }, 'a2616381f66262626161'],
  ])('of %j is %s', (value, hex) => {
    expect(Buffer.from(encodeDagCbor(value)).toString('hex')).toBe(hex);
  });

  it('refuses what is far longer than any operation', () => {
    expect(() => encodeDagCbor('x'.repeat(0x1_0000))).toThrow(RangeError);
  });
});
