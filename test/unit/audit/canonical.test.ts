import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, canonicalRow, commitments, GENESIS, hashRow } from '../../../lib/audit/canonical.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('canonicalJson', () => {
  it('is the example of RFC 8785, section 3.2.2', () => {
    const example = {
      numbers: [JSON.parse('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(example)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts members as RFC 8785, section 3.2.3 does', () => {
    const names = ['€', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', 'ö'];
    const sorted = canonicalJson(Object.fromEntries(names.map((name) => [name, 0])));
    expect(sorted).toBe('{"\\r":0,"1":0,"\u0080":0,"ö":0,"€":0,"\u{1f600}":0,"\ufb33":0}');
  });

  it('does not depend on the order in which members were set', () => {
    const shuffled = fc.jsonValue().chain((value) => fc.tuple(fc.constant(value), reordered(value)));
    fc.assert(fc.property(shuffled, ([value, other]) => canonicalJson(value) === canonicalJson(other)));
  });

  it('is JSON that says the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('a row', () => {
  const key = Uint8Array.from({ length: 32 }, (_, index) => index);
  const row = {
    id: 7,
    seq: 1,
    user_id: '123456789',
    pnptv_uuid: '550e8400-e29b-41d4-a716-446655440000',
    action: 'created',
    status: 'success',
    details: { pds_handle: 'alice.pnptv.app', pds_did: 'did:web:alice-a1b2c3.pnptv.app' },
    error_code: null,
    error_message: null,
    created_by: 'system',
    created_at: '2026-02-21T10:30:00.000001Z',
  };

  // Computed with Python's hashlib and json: these values stand for every chain ever written. They never change.
  it('has the commitments and the hash that it has always had', () => {
    const committed = commitments(key, row);
    expect(hex(committed.user_id_commitment)).toBe(
      '05d281771595f438ff0eb301b872532e3bec194909b76900e31b5f783a504d34',
    );
    expect(hex(committed.details_commitment)).toBe(
      '76aac8af8a24b75719ce2fea53571cea24fb20ca1f7cee460213c9614f6441af',
    );
    expect(hex(committed.error_message_commitment)).toBe(
      '7a841b2e9e0d829bbe5bca46da2d94c65daa1be2004d3f5ab063e10a09b00ad1',
    );
    expect(hex(hashRow(GENESIS, { ...row, ...committed }))).toBe(
      'ccbe07cc362cc4565ba59be2d7a6ee2828ed88279e2521757a0a17400c3da1f0',
    );
  });

  it('is hashed without the personal data in it', () => {
    const own = { ...row, created_by: row.user_id };
    const canonical = canonicalRow({ ...own, ...commitments(key, own) });
    expect(canonical).not.toContain('123456789');
    expect(canonical).not.toContain('alice');
  });

  it('is committed to under the key of its member: another key gives other values for the same data', () => {
    const other = commitments(new Uint8Array(32), row);
    expect(hex(other.user_id_commitment)).not.toBe(hex(commitments(key, row).user_id_commitment));
  });
});

/** The same JSON value with the members of every object set in another order. */
function reordered(value: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(value)) return fc.tuple(...value.map(reordered));
  if (typeof value !== 'object' || value === null) return fc.constant(value);
  return fc
    .shuffledSubarray(Object.entries(value), { minLength: Object.keys(value).length })
    .chain((entries) =>
      fc.tuple(...entries.map(([name, member]) => reordered(member).map((inner) => [name, inner] as const))),
    )
    .map((entries) => Object.fromEntries(entries));
}
