import { PurgeQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { listOpenChanges } from '../../../../lib/lifecycle/api.ts';
import { advance, endChange } from '../../../../lib/lifecycle/changes/advance.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { type Change, readOpenChange } from '../../../../lib/lifecycle/changes/change.ts';
import { hold } from '../../../../lib/lifecycle/changes/hold.ts';
import { countOpenChanges } from '../../../../lib/lifecycle/changes/overdue.ts';
import { changeActions, type Perform } from '../../../../lib/lifecycle/changes/perform.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { openFromChange, sealForChange } from '../../../../lib/lifecycle/changes/sealed.ts';
import { showOpenChanges } from '../../../../lib/lifecycle/changes/show-open.ts';
import { ProvisioningError } from '../../../../lib/provisioning/provisioning-error.ts';
import { enqueue, messageBody } from '../../../../lib/provisioning/queue/queue.ts';
import { sendDue, sendDueChanges } from '../../../../lib/provisioning/queue/relay.ts';
import type { Run } from '../../../../lib/provisioning/run.ts';
import { finish, PROVISIONING, performWork } from '../../../../lib/provisioning/work.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';

describe('a change of an identity', () => {
  let stage: Stage;
  let bench: Bench;
  let api: Sql;
  let userId: string;
  beforeAll(async () => {
    stage = await openStage();
    bench = await openBench(stage);
    api = connect(bench.database.apiUrl, { max: 2 });
  });
  afterAll(async () => {
    await api.end();
    await bench.close();
    await stage.close();
  });
  beforeEach(async () => {
    const member = await bench.member();
    await performWork(bench.deps, member.queueId);
    userId = member.userId;
  });

  const purge = () => stage.sqsClient.send(new PurgeQueueCommand({ QueueUrl: bench.deps.queueUrl }));
  async function received() {
    const { Messages = [] } = await stage.sqsClient.send(
      new ReceiveMessageCommand({
        QueueUrl: bench.deps.queueUrl,
        WaitTimeSeconds: 10,
        MaxNumberOfMessages: 10,
      }),
    );
    return Messages.map(({ Body }) => Body);
  }
  const request = (changes: Partial<Parameters<typeof requestChange>[1]> = {}) =>
    api.begin((tx) =>
      requestChange(tx, {
        userId,
        kind: 'rename',
        wish: { handle: 'b' },
        by: userId,
        now: new Date(),
        ...changes,
      }),
    );
  const perform = (rename: Perform, queueId: string | undefined) =>
    performWork({ ...bench.deps, actions: changeActions({ rename }) }, queueId ?? '');
  const rowsOf = () => bench.sql<{ id: string; status: string }[]>`
    SELECT id::text, status FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'rename'`;

  it('is written down once, however often it is asked for, and keeps every other one away', async () => {
    const first = await request();
    expect(first.queued).toBeDefined();
    expect(await request()).toMatchObject({ changeId: first.changeId, queued: undefined });
    await expect(request({ wish: { handle: 'c' } })).rejects.toThrow(/CHANGE_IN_PROGRESS|under way/);
    await expect(request({ kind: 'revoke', wish: {} })).rejects.toThrow(/under way/);
    expect(await rowsOf()).toHaveLength(1);
  });

  it('is refused for an identity that is not active', async () => {
    const { userId: newcomer } = await bench.member();
    await expect(request({ userId: newcomer })).rejects.toMatchObject({ code: 'IDENTITY_NOT_READY' });
  });

  it('goes on from the step that is stored, with the secret that was sealed for it', async () => {
    const { queued } = await request();
    const seen: string[] = [];
    const rename: Perform = async (run, change) => {
      await hold(run);
      if (change.step === 'requested') {
        const { data_key_id } = run.identity;
        const sealed = await sealForChange(run.vault, data_key_id ?? '', change, 'password', 'secret');
        await advance(run.sql, run, change, {
          step: 'prepared',
          sealed: { password: sealed },
          data_key_id: data_key_id ?? '',
          progress: { a: 1 },
        });
        throw new ProvisioningError('PDS_SERVER_ERROR', 'not now', { retryable: true });
      }
      seen.push(Buffer.from(await openFromChange(run.vault, change, 'password')).toString());
      await advance(run.sql, run, change, { progress: { b: 2 } });
      seen.push(JSON.stringify(change.progress));
      await run.sql.begin((tx) =>
        endChange(tx, run, change, { outcome: 'done' }, { action: 'updated', details: { handle: 'b' } }),
      );
    };
    expect(await perform(rename, queued)).toBe('again');
    await bench.sql`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queued ?? ''}`;
    expect(await perform(rename, queued)).toBe('done');
    expect(seen).toEqual(['secret', '{"a": 1, "b": 2}'.replaceAll(' ', '')]);
    expect(await readOpenChange(bench.sql, userId)).toBeUndefined();
    const [over] = await bench.sql`SELECT outcome, sealed FROM pds_changes WHERE user_id = ${userId}`;
    expect(over).toMatchObject({ outcome: 'done', sealed: {} });
    expect(await rowOf(bench, queued ?? '')).toMatchObject({ status: 'completed' });
    expect((await identityOf(bench, userId)).lease_until).toBeNull();
    expect(await verifyMember(bench.sql, (await identityOf(bench, userId)).pnptv_uuid)).toMatchObject({
      intact: true,
    });
  });

  it('begins again when it is asked for again after its work was given up', async () => {
    const { changeId, queued } = await request();
    const refused: Perform = async () => {
      throw new ProvisioningError('PDS_ADDRESS_WRONG', 'for good');
    };
    expect(await perform(refused, queued)).toBe('failed');
    const again = await request();
    expect(again).toMatchObject({ changeId, isNew: false, queued: expect.any(String) });
    expect(again.queued).not.toBe(queued);
    expect(await request()).toMatchObject({ changeId, queued: undefined });
    const rename: Perform = (run, change) =>
      run.sql.begin((tx) => endChange(tx, run, change, { outcome: 'done' }));
    expect(await perform(rename, again.queued)).toBe('done');
    expect(await readOpenChange(bench.sql, userId)).toBeUndefined();
  });

  it('stands in the list of operators while it is open, with what it waits for, and is counted when it ends', async () => {
    const listed = async () => {
      const { data, pagination } = await showOpenChanges(api, { limit: 100, offset: 0 });
      expect(listOpenChanges.data.safeParse(data).error).toBeUndefined();
      expect(pagination.total).toBe(data.length);
      return data.find(({ user_id }) => user_id === userId);
    };
    const counted: string[] = [];
    const metrics = {
      ...bench.deps.metrics,
      count: (name: string, by = 1) => void counted.push(`${name} ${by}`),
    };
    const { changeId, queued = '' } = await request({ dueAt: new Date(Date.now() - 60_000) });
    const { pnptv_uuid } = await identityOf(bench, userId);
    expect(await listed()).toMatchObject({
      ...{ id: changeId, pnptv_uuid, kind: 'rename', step: 'requested', requested_by: userId },
      ...{ waits_for: null, error_code: null, queue_id: Number(queued), next_try_at: expect.any(String) },
    });
    expect((await listed())?.age_seconds).toBeGreaterThanOrEqual(60);
    await bench.sql`UPDATE pds_changes SET due_at = now() + interval '1 minute' WHERE id = ${changeId}`;
    expect(await listed()).toMatchObject({ waits_for: 'notice', age_seconds: 0 });
    await bench.sql`UPDATE pds_changes SET due_at = now() - interval '1 minute' WHERE id = ${changeId}`;
    await perform(async () => {
      throw new ProvisioningError('PDS_ADDRESS_WRONG', 'for good');
    }, queued);
    expect(await listed()).toMatchObject({
      ...{
        waits_for: 'operators',
        error_code: 'PDS_ADDRESS_WRONG',
        queue_id: Number(queued),
        next_try_at: null,
      },
    });
    const twoDays = new Date(Date.now() + 47 * 3600_000);
    expect(await countOpenChanges(bench.sql, metrics, twoDays)).toMatchObject({ overdue: 0 });
    await bench.sql`UPDATE pds_changes SET due_at = due_at - interval '1 hour' WHERE id = ${changeId}`;
    expect(await countOpenChanges(bench.sql, metrics, twoDays)).toMatchObject({ overdue: 1 });
    expect(counted).toContain('ChangesOverdue 1');
    const again = await request();
    const rename: Perform = (run, change) =>
      run.sql.begin((tx) => endChange(tx, run, change, { outcome: 'done' }));
    const deps = { ...bench.deps, metrics, actions: changeActions({ rename }) };
    expect(await performWork(deps, again.queued ?? '')).toBe('done');
    expect(counted.at(-1)).toBe('RenameDone 1');
    expect(await listed()).toBeUndefined();
  });

  it('writes nothing more once another worker has the member', async () => {
    const { queued } = await request();
    let lost: Change | undefined;
    const rename: Perform = async (run, change) => {
      lost = change;
      await bench.sql`UPDATE user_pds_mapping SET epoch = epoch + 1 WHERE user_id = ${userId}`;
      await advance(run.sql, run, change, { step: 'prepared' });
    };
    expect(await perform(rename, queued)).toBe('lease_lost');
    expect(lost?.step).toBe('requested');
    expect(await readOpenChange(bench.sql, userId)).toMatchObject({ step: 'requested' });
  });

  it('can be taken back while nothing of it has happened, once, and by nobody else', async () => {
    const { changeId } = await request({ dueAt: new Date(Date.now() + 3600_000) });
    await expect(cancelChange({ sql: api }, { userId: '1', changeId, by: '1' })).rejects.toMatchObject({
      code: 'CHANGE_NOT_FOUND',
    });
    expect(await cancelChange({ sql: api }, { userId, changeId, by: userId })).toEqual({ cancelled: true });
    await expect(cancelChange({ sql: api }, { userId, changeId, by: userId })).rejects.toMatchObject({
      code: 'CHANGE_NOT_CANCELLABLE',
    });
    expect(await rowsOf()).toEqual([expect.objectContaining({ status: 'completed' })]);
    expect((await request()).changeId).not.toBe(changeId);
  });

  it('cannot be taken back while a worker is at it; a move is noted for that worker', async () => {
    const cancelInWork = async (kind: 'delete' | 'move') => {
      const { changeId, queued } = await request({ kind, wish: {} });
      let result: unknown;
      const actions = changeActions({
        [kind]: async (run: Parameters<Perform>[0], change: Change) => {
          result = await cancelChange({ sql: api }, { userId, changeId, by: userId }).catch(
            ({ code }: { code: string }) => code,
          );
          const wanted = (await readOpenChange(run.sql, userId))?.cancel_wanted_at !== null;
          await run.sql.begin((tx) => endChange(tx, run, change, { outcome: wanted ? 'cancelled' : 'done' }));
        },
      });
      await performWork({ ...bench.deps, actions }, queued ?? '');
      return result;
    };
    expect(await cancelInWork('delete')).toBe('CHANGE_NOT_CANCELLABLE');
    expect(await cancelInWork('move')).toEqual({ cancelled: false });
    const logged = await bench.sql`
      SELECT status, details->'cancelled' AS cancelled, created_by FROM pds_provisioning_log
      WHERE user_id = ${userId} AND details->>'change' = 'move'`;
    expect([...logged]).toEqual([{ status: 'pending', cancelled: false, created_by: userId }]);
  });

  it('is taken back although its work was given up', async () => {
    const { changeId, queued = '' } = await request({ kind: 'move', wish: {} });
    const [{ user_id }] = await bench.sql<[{ user_id: string }]>`
      UPDATE pds_changes SET step = 'prepared' WHERE id = ${changeId} RETURNING user_id`;
    await bench.sql`UPDATE pds_provisioning_queue SET status = 'failed' WHERE id = ${queued}`;
    expect(await cancelChange({ sql: api }, { userId: user_id, changeId, by: user_id })).toEqual({
      cancelled: false,
    });
    const [again] = await bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id = ${user_id} AND action = 'move' AND status = 'pending'`;
    const actions = changeActions({
      move: (run, change) => run.sql.begin((tx) => endChange(tx, run, change, { outcome: 'cancelled' })),
    });
    expect(await performWork({ ...bench.deps, actions }, again?.id ?? '')).toBe('done');
  });

  it('reaches its own worker, also by way of one that does other work', async () => {
    const { queued = '' } = await request();
    expect(await performWork({ ...bench.deps, actions: PROVISIONING }, queued)).toBe('foreign');
    expect(await rowOf(bench, queued)).toMatchObject({ status: 'pending', claims: 0, sent_at: null });
    await sendDue(bench.deps);
    expect((await rowOf(bench, queued)).sent_at).toBeNull();
    await sendDueChanges(bench.deps);
    expect((await rowOf(bench, queued)).sent_at).not.toBeNull();
  });

  it('has its turn seconds after other work on the member, which it found at it', async () => {
    const { queued = '' } = await request();
    await purge();
    const { queueId } = await bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
    const verify = async (run: Run) => {
      expect(await performWork(bench.deps, queued)).toBe('busy');
      await finish(run);
    };
    expect(await performWork({ ...bench.deps, actions: { verify } }, queueId)).toBe('done');
    // A relay that comes by meanwhile sends no second message.
    expect(await sendDueChanges(bench.deps)).toMatchObject({ sent: 0 });
    expect(await received()).toEqual([messageBody(queued)]);
    const rename: Perform = (run, change) =>
      run.sql.begin((tx) => endChange(tx, run, change, { outcome: 'done' }));
    expect(await perform(rename, queued)).toBe('done');
  });

  it('has its work ended when it is over already', async () => {
    const { queued = '' } = await request();
    await bench.sql`UPDATE pds_changes SET ended_at = now(), outcome = 'done' WHERE user_id = ${userId}`;
    expect(await perform(async () => expect.unreachable(), queued)).toBe('done');
    expect(await rowOf(bench, queued)).toMatchObject({ status: 'completed' });
  });
});
