import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commitments, GENESIS, hashRow } from '../../../lib/audit/canonical.ts';
import { type ChainRow, verifyChain } from '../../../lib/audit/verify.ts';

const erasureKey = new Uint8Array(32).fill(7);

function chain(length: number, lastAction = 'verified'): ChainRow[] {
  const rows: ChainRow[] = [];
  for (let seq = 1; seq <= length; seq += 1) {
    const row = {
      id: 100 + seq,
      seq,
      user_id: '42',
      pnptv_uuid: '550e8400-e29b-41d4-a716-446655440000',
      action: seq === length ? lastAction : 'verified',
      status: 'success',
      details: { attempt: seq },
      error_code: null,
      error_message: seq % 2 ? 'down' : null,
      created_by: seq % 3 ? 'system' : '42',
      created_at: `2026-02-21T10:30:00.00000${seq % 10}Z`,
    };
    const committed = { ...row, ...commitments(erasureKey, row) };
    const prev_hash: Uint8Array = rows.at(-1)?.row_hash ?? GENESIS;
    rows.push({ ...committed, prev_hash, row_hash: hashRow(prev_hash, committed) });
  }
  return rows;
}

const erased = (rows: ChainRow[]): ChainRow[] =>
  rows.map((row) => ({
    ...row,
    user_id: null,
    details: null,
    error_message: null,
    created_by: row.created_by === row.user_id ? null : row.created_by,
  }));
const length = fc.integer({ min: 1, max: 12 });
const place = length.chain((n) => fc.tuple(fc.constant(n), fc.nat(n - 1)));

describe('verifyChain', () => {
  it('accepts a chain as it was written, and an empty one', () => {
    fc.assert(
      fc.property(length, (n) => {
        expect(verifyChain({ rows: chain(n), erasureKey })).toMatchObject({ intact: true, rows: n });
      }),
    );
    expect(verifyChain({ rows: [], erasureKey: null })).toEqual({ intact: true, rows: 0, head: null });
  });

  it('names the first row that is missing', () => {
    fc.assert(
      fc.property(place, ([n, index]) => {
        fc.pre(index < n - 1);
        expect(verifyChain({ rows: chain(n).toSpliced(index, 1), erasureKey })).toEqual({
          intact: false,
          seq: index + 1,
          id: null,
          fault: 'missing',
        });
      }),
    );
  });

  it('names a row that was put in, even with a hash of its own', () => {
    fc.assert(
      fc.property(place, ([n, index]) => {
        const rows = chain(n);
        const forged = { ...(rows[index] as ChainRow), seq: index + 1, action: 'forged' };
        forged.row_hash = hashRow(forged.prev_hash, forged);
        const longer = rows.toSpliced(index, 0, forged).map((row, at) => ({ ...row, seq: at + 1 }));
        expect(verifyChain({ rows: longer, erasureKey })).toMatchObject({ intact: false, seq: index + 2 });
      }),
    );
  });

  it('names a row whose content and hash were both changed by its successor', () => {
    const rows = chain(5);
    const changed = { ...(rows[2] as ChainRow), status: 'failed' };
    changed.row_hash = hashRow(changed.prev_hash, changed);
    expect(verifyChain({ rows: rows.with(2, changed), erasureKey })).toMatchObject({
      seq: 4,
      fault: 'prev_hash',
    });
  });

  it('accepts the chain of an erased member', () => {
    fc.assert(
      fc.property(length, (n) => {
        const rows = erased(chain(n, 'erased'));
        expect(verifyChain({ rows, erasureKey: null })).toMatchObject({ intact: true, rows: n });
      }),
    );
  });

  it('refuses an erasure without its entry, one that is not complete, and one whose key is still there', () => {
    const rows = erased(chain(3, 'erased'));
    expect(verifyChain({ rows: erased(chain(3)), erasureKey: null })).toMatchObject({
      seq: 3,
      fault: 'erasure',
    });
    expect(verifyChain({ rows: rows.with(1, chain(3)[1] as ChainRow), erasureKey: null })).toMatchObject({
      seq: 2,
      fault: 'erasure',
    });
    expect(verifyChain({ rows, erasureKey })).toMatchObject({ seq: 1, fault: 'user_id' });
  });

  it('notices that a nameless author was slipped in for the member', () => {
    const rows = chain(3);
    const nameless = { ...(rows[2] as ChainRow), created_by: null };
    expect(verifyChain({ rows: rows.with(2, nameless), erasureKey })).toMatchObject({
      seq: 3,
      fault: 'created_by',
    });
  });
});
