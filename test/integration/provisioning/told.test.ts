import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { noteWritable } from '../../../lib/auth/bot/tell-member.ts';
import { failRow } from '../../../lib/provisioning/queue/fail.ts';
import { enqueue, type QueueAction } from '../../../lib/provisioning/queue/queue.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import {
  type Bench,
  identityOf,
  openBench,
  openStage,
  type Stage,
  sqlAsOwner,
  workUntilOver,
} from './stage.ts';

let stage: Stage;
let bench: Bench;
beforeAll(async () => {
  stage = await openStage();
});
beforeEach(async () => {
  bench = await openBench(stage);
});
afterEach(() => bench.close());
afterAll(() => stage.close());

/** Somebody who has written to the bot. */
async function writer(language: 'en' | 'es' = 'en') {
  const member = await bench.member();
  await sqlAsOwner(bench.database, (owner) => noteWritable(owner, { userId: member.userId, language }));
  return member;
}
const told = (userId: string) => bench.sql<
  { kind: string; language: string; details: Record<string, unknown> }[]
>`
  SELECT kind, language, details, chat_id FROM telegram_messages WHERE user_id = ${userId} ORDER BY id`;
const noted = () => bench.sql`SELECT kind, subject FROM operator_notices ORDER BY id`;
const fail = (userId: string, id: string, action: QueueAction) =>
  bench.sql.begin(async (tx) => {
    const [{ pnptv_uuid }] = await tx<[{ pnptv_uuid: string }]>`
      SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}`;
    await failRow(tx, { id, user_id: userId, pnptv_uuid, action }, REASON);
    return pnptv_uuid;
  });
const REASON = {
  code: 'ACCOUNT_LOCKED',
  message: 'The identity server does not accept the stored password.',
};

describe('a member whose identity is ready', () => {
  it('is told by the bot, once, in his language, with handle and DID', async () => {
    const { userId, queueId } = await writer('es');
    await workUntilOver(bench, queueId);
    const identity = await identityOf(bench, userId);
    const { pds_did, pds_handle } = identity;
    const details = expect.objectContaining({
      pds_did,
      pds_handle: `@${pds_handle}`,
      status: 'active',
      error: null,
    });
    const ready = [{ kind: 'ready', language: 'es', chat_id: Number(userId), details }];
    expect(await told(userId)).toEqual(ready);
    // Whatever comes again: the message, a retry, a check.
    await performWork(bench.deps, queueId);
    for (const action of ['retry', 'verify'] as const) {
      const again = await bench.sql.begin((tx) => enqueue(tx, { userId, action }));
      await workUntilOver(bench, again.queueId);
    }
    expect(await told(userId)).toEqual(ready);
    expect(await noted()).toEqual([]);
  });

  it('is not written to when he has never written to the bot: Telegram would refuse it', async () => {
    const { userId, queueId } = await bench.member();
    await workUntilOver(bench, queueId);
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'active' });
    expect(await told(userId)).toEqual([]);
  });
});

describe('a member whose identity failed for good', () => {
  it('is told by the bot why, and the operators are; after a retry that works, that it is ready', async () => {
    const { userId, queueId } = await writer();
    const pnptv_uuid = await fail(userId, queueId, 'create');
    expect(await told(userId)).toMatchObject([
      { kind: 'failed', language: 'en', details: { status: 'error', error: REASON } },
    ]);
    expect(await noted()).toEqual([{ kind: 'identity_failed', subject: pnptv_uuid }]);
    const again = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'retry' }));
    await workUntilOver(bench, again.queueId);
    expect((await told(userId)).map(({ kind }) => kind)).toEqual(['failed', 'ready']);
  });

  it('whose check fails hears nothing: his identity is as it was; the operators do', async () => {
    const { userId, queueId } = await writer();
    await workUntilOver(bench, queueId);
    const check = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
    const pnptv_uuid = await fail(userId, check.queueId, 'verify');
    expect((await told(userId)).map(({ kind }) => kind)).toEqual(['ready']);
    expect(await noted()).toEqual([{ kind: 'work_failed', subject: pnptv_uuid }]);
  });
});
