import { CID } from 'multiformats';
import { describe, expect, it } from 'vitest';
import type { Did } from '../../../../lib/brands.ts';
import { followLog } from '../../../../lib/identity/plc/log.ts';
import { type AnyOperation, cidOf } from '../../../../lib/identity/plc/operation.ts';
import { k256, makeDid, p256, plc } from './judge.ts';

const CREATED = '2026-11-26T07:00:00.000Z';
const entry = (operation: AnyOperation) => ({
  cid: cidOf(operation),
  nullified: false,
  createdAt: CREATED,
  operation,
});
type Entry = ReturnType<typeof entry>;
const invalid = expect.objectContaining({ code: 'PLC_LOG_INVALID' });

/** A DID with three operations: made, renamed, with a member's key. */
async function history() {
  const [member, us, pds] = [await p256(), await k256(), await k256()];
  const { op, did } = await makeDid(pds, [us.did(), pds.did()]);
  const renamed = await plc.updateHandleOp(op, pds as never, 'bob.pnptv.test');
  const keyed = await plc.updateRotationKeysOp(renamed, us as never, [member.did(), us.did(), pds.did()]);
  return { did: did as Did, member, us, pds, ops: [op, renamed, keyed] as [typeof op, typeof op, typeof op] };
}

describe('the log of a DID', () => {
  it('comes to what its last operation says, and remembers the first', async () => {
    const { did, member, us, pds, ops } = await history();
    expect(followLog(did, ops.map(entry))).toEqual({
      did,
      head: cidOf(ops[2]),
      undoableSince: new Date(CREATED),
      data: expect.objectContaining({
        rotationKeys: [member.did(), us.did(), pds.did()],
        alsoKnownAs: ['at://bob.pnptv.test'],
      }),
      genesis: expect.objectContaining({ rotationKeys: [us.did(), pds.did()] }),
      pdsKeys: [us.did(), pds.did()],
    });
  });

  it('says since when a key may undo something, though the last change was signed by the top key', async () => {
    const { did, us, ops } = await history();
    const [made, renamed, keyed] = ops.map((operation, hour) => ({
      ...entry(operation),
      createdAt: `2026-11-26T0${hour}:00:00.000Z`,
    })) as [Entry, Entry, Entry];
    expect(followLog(did, [made]).undoableSince).toBeUndefined();
    expect(followLog(did, [made, renamed, keyed]).undoableSince).toEqual(new Date(renamed.createdAt));

    // What that means: ours undoes what the PDS signed, and the member's key goes with it.
    const undone = await plc.updateHandleOp(ops[0], us as never, 'carol.pnptv.test');
    const log = [made, renamed, keyed].map((e) => ({
      did,
      operation: e.operation as never,
      cid: CID.parse(e.cid) as never,
      nullified: false,
      createdAt: new Date(),
    }));
    const { nullified } = await plc.assureValidNextOp(did, log, undone);
    expect(nullified.map(String)).toEqual([renamed.cid, keyed.cid]);
    const after = [made, { ...renamed, nullified: true }, { ...keyed, nullified: true }, entry(undone)];
    expect(followLog(did, after).undoableSince).toBeUndefined();
  });

  it('leaves out what a stronger key has undone', async () => {
    const { did, us, ops } = await history();
    const undone = await plc.updateHandleOp(ops[0], us as never, 'carol.pnptv.test');
    const log = followLog(did, [entry(ops[0]), { ...entry(ops[1]), nullified: true }, entry(undone)]);
    expect(log.data?.alsoKnownAs).toEqual(['at://carol.pnptv.test']);
  });

  it('may end the DID', async () => {
    const { did, us, ops } = await history();
    const { cid } = await plc.getLastOpWithCid(ops);
    const end = await plc.tombstoneOp(cid, us as never);
    expect(followLog(did, [...ops, end].map(entry))).toMatchObject({ data: undefined, head: cidOf(end) });
  });

  it.each<[string, (h: Awaited<ReturnType<typeof history>>) => AnyOperation[] | Promise<AnyOperation[]>]>([
    ['is empty', () => []],
    ['begins in the middle', ({ ops }) => ops.slice(1)],
    ['lacks an operation', ({ ops }) => [ops[0], ops[2]]],
    ['is in another order', ({ ops }) => [ops[0], ops[2], ops[1]]],
    ['was changed', ({ ops }) => [{ ...ops[0], alsoKnownAs: ['at://mallory.test'] }]],
    ['is another DID’s', async () => (await history()).ops],
    [
      'has an operation that a stranger signed',
      async ({ ops }) => [...ops, await plc.updateHandleOp(ops[2], (await k256()) as never, 'm.test')],
    ],
    [
      'goes on after its end',
      async ({ us, ops }) => {
        const end = await plc.tombstoneOp((await plc.getLastOpWithCid(ops)).cid, us as never);
        return [...ops, end, await plc.updateHandleOp(ops[2], us as never, 'm.test')];
      },
    ],
  ])('does not hold when it %s', async (_, change) => {
    const made = await history();
    const operations = await change(made);
    expect(() => followLog(made.did, operations.map(entry))).toThrow(invalid);
  });

  it('does not hold when a CID names something else', async () => {
    const { did, ops } = await history();
    expect(() => followLog(did, [{ ...entry(ops[0]), cid: cidOf(ops[1]) }])).toThrow(invalid);
  });
});
