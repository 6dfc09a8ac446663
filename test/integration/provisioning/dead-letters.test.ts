import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Sqs, startSqs } from '../../../infra/local/aws/sqs.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { silentLog } from '../../../lib/observability/log.ts';
import { listDeadLetters, redriveAll, redriveWork } from '../../../lib/provisioning/api.ts';
import { buryMessage } from '../../../lib/provisioning/dead-letters/dead-letter.ts';
import { readDeadLetters } from '../../../lib/provisioning/dead-letters/dead-letters.ts';
import { redrive, redriveEverything } from '../../../lib/provisioning/dead-letters/redrive.ts';
import { failRow } from '../../../lib/provisioning/queue/fail.ts';
import { enqueue, messageBody, type QueueAction } from '../../../lib/provisioning/queue/queue.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, type Call, call, logIn, setEnvironment } from '../http/app.ts';
import { loadHandler } from '../http/handlers.ts';

const ADMIN = '9000';
const REASON = {
  code: 'PDS_REJECTED',
  message: 'The identity server refused the request.',
  nsid: 'com.atproto.server.createAccount',
  error: 'InvalidEmail',
  detail: 'password=hunter2hunter2',
};

let database: TestDatabase;
let owner: Sql;
let worker: Sql;
/** With the rights of the routes. */
let api: Sql;
let members = 0;
beforeAll(async () => {
  database = await freshDatabase();
  owner = connect(database.ownerUrl);
  worker = connect(database.workerUrl);
  api = connect(database.apiUrl, { max: 20 });
  await owner`ALTER TABLE user_pds_mapping DROP CONSTRAINT active_is_complete`;
});
beforeEach(() => owner`TRUNCATE pds_provisioning_queue, dead_letters, operator_notices`);
afterAll(async () => {
  await Promise.all([owner.end(), worker.end(), api.end()]);
  await database.drop();
});

async function work(action: QueueAction = 'create') {
  members += 1;
  const userId = String(1000 + members);
  await owner`INSERT INTO users (id) VALUES (${userId})`;
  const { queueId } = await worker.begin((tx) => enqueue(tx, { userId, action: 'create' }));
  if (action === 'create') return { userId, queueId };
  await worker`UPDATE pds_provisioning_queue SET status = 'completed' WHERE id = ${queueId}`;
  await makeActive(userId);
  return { userId, ...(await worker.begin((tx) => enqueue(tx, { userId, action }))) };
}
/** What makes it complete is missing: nobody looks for it here. */
const makeActive = (userId: string) =>
  owner`UPDATE user_pds_mapping SET status = 'active' WHERE user_id = ${userId}`;
async function failed(action: QueueAction = 'create', { hoursAgo = 0 } = {}) {
  const made = await work(action);
  const [row] = await worker<[{ id: string; user_id: string; pnptv_uuid: string; action: QueueAction }]>`
    SELECT id::text, user_id, pnptv_uuid, action FROM pds_provisioning_queue WHERE id = ${made.queueId}`;
  await worker.begin((tx) => failRow(tx, row, REASON));
  await age(made.queueId, hoursAgo);
  return { ...made, pnptvUuid: row.pnptv_uuid };
}
async function age(queueId: string, hours: number) {
  await owner`ALTER TABLE pds_provisioning_queue DISABLE TRIGGER USER`;
  await owner`UPDATE pds_provisioning_queue SET updated_at = updated_at - make_interval(hours => ${hours}) WHERE id = ${queueId}`;
  await owner`ALTER TABLE pds_provisioning_queue ENABLE TRIGGER USER`;
}
const bury = (body: string, messageId = `message-${Math.random()}`) =>
  buryMessage(
    { sql: worker, now: () => new Date(), log: silentLog, metrics: { count: () => {} } },
    { messageId, body, receiveCount: 5, sourceQueue: 'dead' },
  );
const list = async (page = { limit: 50, offset: 0 }) => {
  const answer = await readDeadLetters(api, page);
  expect(listDeadLetters.data.safeParse(answer.data).error).toBeUndefined();
  return answer;
};
const redriveOne = (queueId: string) => redrive({ sql: api }, { queueId, by: ADMIN });
const redriveThem = (within: { now?: () => number; withinMs?: number } = {}) =>
  redriveEverything(
    { sql: api, now: within.now ?? (() => 0) },
    { by: ADMIN, withinMs: within.withinMs ?? 1000, signal: new AbortController().signal },
  );
const statusOf = async (queueId: string) => {
  const [row] = await owner`SELECT status FROM pds_provisioning_queue WHERE id = ${queueId}`;
  return row?.status;
};
const audited = (pnptvUuid: string) => owner`
  SELECT action, created_by FROM pds_provisioning_log WHERE pnptv_uuid = ${pnptvUuid} AND created_by = ${ADMIN}`;

describe('the list of what was given up', () => {
  it('says for each, the oldest first, why in words, since when, and how often it was tried', async () => {
    const young = await failed();
    const old = await failed('verify', { hoursAgo: 3 });
    const { data, pagination } = await list();
    expect(pagination).toEqual({ limit: 50, offset: 0, total: 2 });
    expect(data.map(({ queue_id }) => String(queue_id))).toEqual([old.queueId, young.queueId]);
    expect(data[0]).toMatchObject({
      pnptv_uuid: old.pnptvUuid,
      action: 'verify',
      code: 'PDS_REJECTED',
      means: REASON.message,
      todo: expect.stringContaining('redrive'),
      details: { nsid: REASON.nsid, error: REASON.error, detail: 'password=[redacted]' },
      receives: 0,
    });
    expect(Math.abs(Number(data[0]?.age_seconds) - 3 * 3600)).toBeLessThan(60);
    expect((await list({ limit: 1, offset: 1 })).data.map(({ queue_id }) => String(queue_id))).toEqual([
      young.queueId,
    ]);
    expect(await list({ limit: 1, offset: 7 })).toMatchObject({ data: [], pagination: { total: 2 } });
  });

  it('has one entry for work with dead letters, and one for a message that names none', async () => {
    const { queueId } = await work();
    await bury(messageBody(queueId));
    await bury(messageBody(queueId));
    await bury('{"queueId":"999999999"}');
    await bury('<html>');
    const { data } = await list();
    expect(
      data.map(({ code, receives, queue_id }) => [code, receives, queue_id && String(queue_id)]),
    ).toEqual([
      ['WORKER_CRASHED', 5, queueId],
      ['NO_SUCH_WORK', 5, null],
      ['NO_SUCH_WORK', 5, null],
    ]);
  });

  it('leaves out what is over: retried, done by newer work, of a member who is active, revoked or erased', async () => {
    const retried = await failed();
    await worker.begin((tx) => enqueue(tx, { userId: retried.userId, action: 'retry' }));
    const checked = await failed('verify');
    await worker.begin((tx) => enqueue(tx, { userId: checked.userId, action: 'verify' }));
    const complete = await failed();
    await makeActive(complete.userId);
    const revoked = await failed();
    await owner`UPDATE user_pds_mapping SET status = 'revoked' WHERE user_id = ${revoked.userId}`;
    const erased = await failed();
    await owner`UPDATE pds_erasure_keys SET erasure_key = NULL, erased_at = now() WHERE pnptv_uuid = ${erased.pnptvUuid}`;
    expect((await list()).data).toEqual([]);
  });

  it('says of a message whose work went on that there is nothing to redo', async () => {
    const { queueId } = await work();
    await owner`UPDATE pds_provisioning_queue SET status = 'completed' WHERE id = ${queueId}`;
    await bury(messageBody(queueId));
    expect((await list()).data).toMatchObject([{ code: 'WORK_WENT_ON', queue_id: Number(queueId) }]);
    expect(await redriveThem()).toEqual({ redriven: 0, put_away: 1, left: 0 });
    expect(await statusOf(queueId)).toBe('completed');
  });
});

describe('redriving one', () => {
  it('begins it again in the same row with fresh attempts, once: of twenty at once one does', async () => {
    const { userId, queueId, pnptvUuid } = await failed();
    const results = await Promise.all(Array.from({ length: 20 }, () => redriveOne(queueId)));
    expect(results.filter(({ redriven }) => redriven)).toEqual([
      { queue_id: Number(queueId), redriven: true, reason: null },
    ]);
    expect(results.filter(({ reason }) => reason === 'at_work')).toHaveLength(19);
    const rows =
      await owner`SELECT id::text, status, attempt_count, error_details FROM pds_provisioning_queue WHERE user_id = ${userId}`;
    expect(rows).toEqual([{ id: queueId, status: 'pending', attempt_count: 0, error_details: null }]);
    expect(await owner`SELECT status, error_code FROM user_pds_mapping WHERE user_id = ${userId}`).toEqual([
      { status: 'pending', error_code: null },
    ]);
    expect(await audited(pnptvUuid)).toEqual([{ action: 'retry', created_by: ADMIN }]);
    expect(await verifyMember(owner, pnptvUuid)).toMatchObject({ intact: true });
  });

  it('of a check begins one new check, however many ask and whatever became of the first', async () => {
    const { userId, queueId } = await failed('verify');
    const results = await Promise.all(Array.from({ length: 20 }, () => redriveOne(queueId)));
    expect(results.filter(({ redriven }) => redriven)).toHaveLength(1);
    await owner`UPDATE pds_provisioning_queue SET status = 'completed' WHERE user_id = ${userId} AND status = 'pending'`;
    expect(await redriveOne(queueId)).toMatchObject({ redriven: false, reason: 'superseded' });
    expect(
      await owner`SELECT FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'verify'`,
    ).toHaveLength(2);
  });

  it('takes its dead letters with it, and says who did it', async () => {
    const { queueId } = await work();
    await bury(messageBody(queueId));
    await redriveOne(queueId);
    expect(await owner`SELECT redriven_by, redriven_at IS NOT NULL AS redriven FROM dead_letters`).toEqual([
      { redriven_by: ADMIN, redriven: true },
    ]);
    expect((await list()).data).toEqual([]);
    // What dies again is there again.
    await bury(messageBody(queueId));
    expect((await list()).data).toMatchObject([{ code: 'WORKER_CRASHED', receives: 5 }]);
    expect(await redriveOne(queueId)).toMatchObject({ redriven: true });
  });

  it('touches nothing that is no failure, and knows nothing of what is not there', async () => {
    const { queueId } = await work();
    expect(await redriveOne(queueId)).toEqual({
      queue_id: Number(queueId),
      redriven: false,
      reason: 'at_work',
    });
    await owner`UPDATE pds_provisioning_queue SET status = 'completed'`;
    expect(await redriveOne(queueId)).toMatchObject({ reason: 'done' });
    await expect(redriveOne('999999999')).rejects.toMatchObject({ code: 'WORK_NOT_FOUND', status: 404 });
  });
});

describe('redriving everything', () => {
  it('begins all again, puts the rest away, and has nothing left to do', async () => {
    const several = [await failed(), await failed('verify'), await failed('create', { hoursAgo: 30 })];
    await bury('<html>');
    expect(await redriveThem()).toEqual({ redriven: 3, put_away: 1, left: 0 });
    for (const { pnptvUuid } of several) expect(await audited(pnptvUuid)).toHaveLength(1);
    expect(await redriveThem()).toEqual({ redriven: 0, put_away: 0, left: 0 });
  });

  it('once each, however many ask at once', async () => {
    const several = [];
    while (several.length < 12) several.push(await failed());
    const results = await Promise.all(Array.from({ length: 4 }, () => redriveThem()));
    expect(results.reduce((sum, { redriven }) => sum + redriven, 0)).toBe(12);
    for (const { pnptvUuid } of several) expect(await audited(pnptvUuid)).toHaveLength(1);
  });

  it('as far as the time allows, the oldest first, and says how many are left', async () => {
    const young = await failed();
    const old = await failed('create', { hoursAgo: 5 });
    await bury('<html>');
    let clock = 0;
    const now = () => (clock += 1);
    expect(await redriveThem({ now, withinMs: 1 })).toEqual({ redriven: 1, put_away: 0, left: 2 });
    expect([await statusOf(old.queueId), await statusOf(young.queueId)]).toEqual(['pending', 'failed']);
    expect(await redriveThem()).toEqual({ redriven: 1, put_away: 1, left: 0 });
  });

  it('comes past more than it looks up at once', async () => {
    for (let n = 0; n < 105; n += 1) await failed();
    expect(await redriveThem()).toEqual({ redriven: 105, put_away: 0, left: 0 });
  });
});

describe('the routes', () => {
  let server: Sqs;
  let sqs: SQSClient;
  let cookie = '';
  beforeAll(async () => {
    server = await startSqs();
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    sqs = new SQSClient({ endpoint: server.url, region: 'eu-central-1', credentials });
    await sqs.send(new CreateQueueCommand({ QueueName: 'work' }));
    setEnvironment(database, {
      AWS_ENDPOINT_URL_SQS: server.url,
      PROVISIONING_QUEUE_URL: server.queueUrl('work'),
    });
    await owner`INSERT INTO pds_providers (id, endpoint) VALUES ('local', 'http://127.0.0.1:3000') ON CONFLICT DO NOTHING`;
    cookie = await logIn({ id: ADMIN_ID, first_name: 'Root' });
  });
  afterAll(async () => {
    sqs.destroy();
    await server.stop();
  });

  const ask = async (contract: typeof redriveAll | typeof redriveWork, subject: Call = {}) => {
    const handler = await loadHandler({ subsystem: 'provisioning', operationId: contract.operationId });
    return call(handler, contract, { cookie, ...subject });
  };
  async function sent(): Promise<unknown[]> {
    const received = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: server.queueUrl('work'),
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: 1,
      }),
    );
    return (received.Messages ?? []).map(({ Body = '' }) => JSON.parse(Body).queueId).sort();
  }

  it('tell the worker what was redriven, after it is written down', async () => {
    const [first, second, third] = [await failed(), await failed('verify'), await failed()];
    expect(await ask(redriveWork, { params: { id: first.queueId } })).toMatchObject({
      status: 200,
      data: { queue_id: Number(first.queueId), redriven: true, reason: null },
    });
    expect(await sent()).toContain(first.queueId);
    expect(await ask(redriveAll)).toMatchObject({ status: 200, data: { redriven: 2, put_away: 0, left: 0 } });
    const open = await owner<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE user_id IN (${second.userId}, ${third.userId}) AND status = 'pending'`;
    expect(await sent()).toEqual(expect.arrayContaining(open.map(({ id }) => id)));
    expect(await ask(redriveWork, { params: { id: '999999999' } })).toMatchObject({
      status: 404,
      error: { code: 'WORK_NOT_FOUND' },
    });
  });
});
