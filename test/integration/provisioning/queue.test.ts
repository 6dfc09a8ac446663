import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sqs, startSqs } from '../../../infra/local/aws/sqs.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { silentLog } from '../../../lib/observability/log.ts';
import { buryMessage } from '../../../lib/provisioning/dead-letters/dead-letter.ts';
import { LeaseLost, updateIdentity } from '../../../lib/provisioning/identity.ts';
import { claim, MOST_CLAIMS } from '../../../lib/provisioning/queue/claim.ts';
import { enqueue, messageBody, sendQueued } from '../../../lib/provisioning/queue/queue.ts';
import { relay } from '../../../lib/provisioning/queue/relay.ts';
import { MOST_A_RUN } from '../../../lib/provisioning/queue/send-rows.ts';
import { settle } from '../../../lib/provisioning/queue/settle.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { PROVISIONING } from '../../../lib/provisioning/work.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const USER = '1001';
const times = TIMES.test;

describe('the provisioning queue', () => {
  let database: TestDatabase;
  let sql: Sql;
  let skipped = 0;
  const now = () => new Date(Date.now() + skipped);
  beforeEach(async () => {
    skipped = 0;
    database = await freshDatabase();
    sql = connect(database.workerUrl, { max: 4 });
    await asOwner((owner) => owner`INSERT INTO users (id, username) VALUES (${USER}, 'queue')`);
  });
  afterEach(async () => {
    await sql.end();
    await database.drop();
  });

  async function asOwner(ask: (owner: Sql) => Promise<unknown>) {
    const owner = connect(database.ownerUrl);
    await ask(owner);
    await owner.end();
  }
  const add = (action: Parameters<typeof enqueue>[1]['action'] = 'create', userId = USER) =>
    sql.begin((tx) => enqueue(tx, { userId, action }));
  const row = async (queueId: string) => {
    const [found] = await sql`SELECT * FROM pds_provisioning_queue WHERE id = ${queueId}`;
    return found;
  };
  const mapping = async () => {
    const [found] = await sql`SELECT * FROM user_pds_mapping WHERE user_id = ${USER}`;
    return found;
  };

  describe('enqueue', () => {
    it('works with the rights of the API, and is undone with its transaction', async () => {
      const api = connect(database.apiUrl);
      await api
        .begin(async (tx) => {
          await enqueue(tx, { userId: USER, action: 'create' });
          throw new Error('the login failed');
        })
        .catch(() => {});
      expect(await mapping()).toBeUndefined();
      const { queueId, created } = await api.begin((tx) => enqueue(tx, { userId: USER, action: 'create' }));
      await api.begin((tx) => enqueue(tx, { userId: USER, action: 'retry' }));
      await api.end();
      expect(created).toBe(true);
      expect(await row(queueId)).toMatchObject({ status: 'pending', claims: 0 });
      expect(await mapping()).toMatchObject({ status: 'pending', provisioning_step: 'requested' });
    });

    it('keeps one open row per member and action, however many logins there are at once', async () => {
      const results = await Promise.all(Array.from({ length: 12 }, () => add()));
      expect(new Set(results.map(({ queueId }) => queueId)).size).toBe(1);
      expect(results.filter(({ created }) => created)).toHaveLength(1);
      expect((await add('verify')).created).toBe(true);
    });

    it('gives failed work fresh attempts on retry, in the same row, and no other secrets', async () => {
      const { queueId } = await add();
      await sql`UPDATE pds_provisioning_queue SET status = 'failed', attempt_count = 3, claims = 4, sent_at = now(),
        next_retry = now() + interval '1 day', error_details = '{"code":"X"}' WHERE id = ${queueId}`;
      await sql`UPDATE user_pds_mapping SET status = 'error', error_code = 'X', error_message = 'x', epoch = 7`;
      expect(await add('retry')).toEqual({ queueId, created: true });
      expect(await row(queueId)).toMatchObject({
        status: 'pending',
        attempt_count: 0,
        claims: 0,
        sent_at: null,
        error_details: null,
      });
      expect(await mapping()).toMatchObject({ status: 'pending', error_code: null, epoch: 7 });
    });

    it('makes waiting work due on retry, and leaves work that is being done to its worker', async () => {
      const { queueId } = await add();
      await sql`UPDATE pds_provisioning_queue SET next_retry = now() + interval '1 hour', parked_reason = 'provider_down'`;
      expect(await add('retry')).toEqual({ queueId, created: true });
      expect((await row(queueId))?.next_retry.getTime()).toBeLessThanOrEqual(Date.now());
      await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      const inWork = await row(queueId);
      expect(await add('retry')).toEqual({ queueId, created: false });
      expect(await row(queueId)).toMatchObject({ status: 'processing', next_retry: inWork?.next_retry });
    });
  });

  describe('claim', () => {
    it('gives a member to one worker until the lease ends, and then to the next with a higher epoch', async () => {
      const { queueId } = await add();
      const first = await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      expect(first).toMatchObject({ kind: 'claimed', identity: { epoch: 1 } });
      expect(await claim({ sql, now, times, actions: PROVISIONING }, queueId)).toEqual({ kind: 'waiting' });
      skipped = times.lease * 1000 + 1;
      const second = await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      expect(second).toMatchObject({ kind: 'claimed', identity: { epoch: 2 } });
      if (first.kind !== 'claimed') throw new Error('not claimed');
      const before = await mapping();
      await expect(updateIdentity(sql, first.identity, { error_code: 'STALE' })).rejects.toBeInstanceOf(
        LeaseLost,
      );
      await expect(
        settle(sql, first.work, first.identity, { kind: 'failed', error: { code: 'STALE', message: '' } }),
      ).rejects.toBeInstanceOf(LeaseLost);
      expect(await mapping()).toEqual(before);
      expect(await row(queueId)).toMatchObject({ status: 'processing' });
    });

    it("leaves another row of the member alone while one is in work, and does not spend the other's claims", async () => {
      const { queueId } = await add();
      const other = await add('verify');
      await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      const before = await row(other.queueId);
      expect(await claim({ sql, now, times, actions: PROVISIONING }, other.queueId)).toEqual({
        kind: 'busy',
      });
      expect(await row(other.queueId)).toEqual(before);
    });

    it('gives up work that was claimed five times without an outcome, and says why', async () => {
      const { queueId } = await add();
      for (let n = 0; n < MOST_CLAIMS; n += 1) {
        expect(await claim({ sql, now, times, actions: PROVISIONING }, queueId)).toMatchObject({
          kind: 'claimed',
        });
        skipped += times.lease * 1000 + 1;
      }
      expect(await claim({ sql, now, times, actions: PROVISIONING }, queueId)).toEqual({ kind: 'dead' });
      expect(await row(queueId)).toMatchObject({ status: 'failed' });
      expect(await mapping()).toMatchObject({ status: 'error', error_code: 'CLAIMED_TOO_OFTEN' });
      expect(await claim({ sql, now, times, actions: PROVISIONING }, queueId)).toEqual({ kind: 'settled' });
    });

    it('fails work without a deadlock beside whoever has its row in hand and wants its member', async () => {
      const { queueId } = await add();
      const claimed = await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
      const { work, identity } = claimed;
      const failed = { kind: 'failed', error: { code: 'SOME', message: 'Some reason.' } } as const;
      const [settled] = await Promise.all([
        sql.begin(async (tx) => {
          await tx`SELECT FROM pds_provisioning_queue WHERE id = ${queueId} FOR UPDATE`;
          const settling = settle(sql, work, identity, failed).then(
            () => 'settled',
            (error) => error,
          );
          while ((await sql`SELECT FROM pg_locks WHERE NOT granted`).length === 0);
          await tx`UPDATE user_pds_mapping SET lease_until = lease_until WHERE user_id = ${USER}`;
          return { settling };
        }),
      ]);
      expect(await settled.settling).toBe('settled');
      expect(await row(queueId)).toMatchObject({ status: 'failed' });
    });

    it('does not count claims that ended by waiting: an outage may last', async () => {
      const { queueId } = await add();
      for (let n = 0; n < 3 * MOST_CLAIMS; n += 1) {
        const claimed = await claim({ sql, now, times, actions: PROVISIONING }, queueId);
        if (claimed.kind !== 'claimed') throw new Error(`${n}: ${claimed.kind}`);
        await settle(sql, claimed.work, claimed.identity, {
          kind: 'parked',
          reason: 'provider_down',
          until: now(),
          tellWorker: false,
        });
      }
      expect(await row(queueId)).toMatchObject({ claims: 0, attempt_count: 0 });
    });
  });

  describe('with SQS', () => {
    let sqs: Sqs;
    let client: SQSClient;
    let queueUrl: string;
    const counted: string[] = [];
    const relayDeps = () => ({
      sql,
      sqs: client,
      queueUrl,
      now,
      log: silentLog,
      metrics: { count: (name: string) => void counted.push(name) },
    });
    beforeEach(async () => {
      counted.length = 0;
      sqs = await startSqs();
      client = clientFor(sqs.url);
      await client.send(new CreateQueueCommand({ QueueName: 'work' }));
      queueUrl = sqs.queueUrl('work');
    });
    afterEach(async () => {
      client.destroy();
      await sqs.stop();
    });
    const waiting = async () => {
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({
          QueueUrl: queueUrl,
          AttributeNames: ['ApproximateNumberOfMessages'],
        }),
      );
      return Number(Attributes?.ApproximateNumberOfMessages);
    };

    it('sends every due row once, in batches, and not again what was just sent', async () => {
      await asOwner(
        (owner) => owner`INSERT INTO users (id) SELECT (5000 + n)::text FROM generate_series(1, 34) AS n`,
      );
      for (let n = 1; n <= 34; n += 1) await add('create', String(5000 + n));
      const later = await add();
      await sql`UPDATE pds_provisioning_queue SET next_retry = now() + interval '1 hour' WHERE id = ${later.queueId}`;
      const [one, two] = await Promise.all([relay(relayDeps()), relay(relayDeps())]);
      expect(one.sent + two.sent).toBe(34);
      expect(await waiting()).toBe(34);
      expect(await relay(relayDeps())).toEqual({ sent: 0, failed: 0 });
      skipped = 60_000;
      expect(await relay(relayDeps())).toEqual({ sent: 34, failed: 0 });
      expect(MOST_A_RUN).toBeGreaterThan(34);
    });

    it('sends again what a dead worker left, when its lease is over', async () => {
      const { queueId } = await add();
      await sendQueued({ sql, sqs: client, queueUrl }, queueId);
      await claim({ sql, now, times, actions: PROVISIONING }, queueId);
      expect(await relay(relayDeps())).toEqual({ sent: 0, failed: 0 });
      skipped = 60_000;
      expect(await relay(relayDeps())).toEqual({ sent: 1, failed: 0 });
    });

    it('loses nothing while SQS is down: a login is told, the relay sends later', async () => {
      const { queueId } = await add();
      const down = clientFor('http://127.0.0.1:9');
      expect(await sendQueued({ sql, sqs: down, queueUrl: 'http://127.0.0.1:9/0/work' }, queueId)).toBe(
        false,
      );
      expect(await relay({ ...relayDeps(), sqs: down, queueUrl: 'http://127.0.0.1:9/0/work' })).toEqual({
        sent: 0,
        failed: 1,
      });
      expect(counted).toContain('RelayFailed');
      expect(await row(queueId)).toMatchObject({ status: 'pending', sent_at: null });
      expect(await relay(relayDeps())).toEqual({ sent: 1, failed: 0 });
      const { Messages } = await client.send(new ReceiveMessageCommand({ QueueUrl: queueUrl }));
      expect(Messages?.[0]?.Body).toBe(messageBody(queueId));
    });

    it('buries a message that SQS gave up on, once, and a retry redrives its work', async () => {
      const { queueId } = await add();
      await client.send(new CreateQueueCommand({ QueueName: 'dead' }));
      await client.send(
        new CreateQueueCommand({
          QueueName: 'poison',
          Attributes: {
            VisibilityTimeout: '0',
            RedrivePolicy: JSON.stringify({
              deadLetterTargetArn: await arnOf(sqs.queueUrl('dead')),
              maxReceiveCount: 2,
            }),
          },
        }),
      );
      await sendQueued({ sql, sqs: client, queueUrl: sqs.queueUrl('poison') }, queueId);
      for (let n = 0; n < 3; n += 1) {
        await client.send(new ReceiveMessageCommand({ QueueUrl: sqs.queueUrl('poison') }));
      }
      const { Messages = [] } = await client.send(
        new ReceiveMessageCommand({
          QueueUrl: sqs.queueUrl('dead'),
          MessageSystemAttributeNames: ['ApproximateReceiveCount'],
        }),
      );
      const [dead] = Messages;
      if (!dead?.MessageId || !dead.Body) throw new Error('no dead letter came');
      const message = { messageId: dead.MessageId, body: dead.Body, receiveCount: 3, sourceQueue: 'dead' };
      const deps = {
        sql,
        now,
        log: silentLog,
        metrics: { count: (name: string) => void counted.push(name) },
      };
      await buryMessage(deps, message);
      await buryMessage(deps, message);
      await client.send(
        new DeleteMessageCommand({ QueueUrl: sqs.queueUrl('dead'), ReceiptHandle: dead.ReceiptHandle }),
      );
      expect(counted).toEqual(['ProvisioningDead']);
      const letters = await sql`SELECT queue_id, user_id, reason FROM dead_letters`;
      expect([...letters]).toEqual([{ queue_id: Number(queueId), user_id: USER, reason: 'WORKER_CRASHED' }]);
      expect(await row(queueId)).toMatchObject({
        status: 'failed',
        error_details: { code: 'WORKER_CRASHED' },
      });
      expect(await mapping()).toMatchObject({ status: 'error', error_code: 'WORKER_CRASHED' });

      await sql.begin((tx) => enqueue(tx, { userId: USER, action: 'retry', by: 'operator' }));
      expect(await row(queueId)).toMatchObject({ status: 'pending', attempt_count: 0, claims: 0 });
      expect(await mapping()).toMatchObject({ status: 'pending', error_code: null });
      expect(
        await sql`SELECT redriven_by, redriven_at IS NOT NULL AS redriven FROM dead_letters`,
      ).toMatchObject([{ redriven_by: 'operator', redriven: true }]);
    });

    it('writes foreign messages down without touching any work', async () => {
      const { queueId } = await add();
      const deps = { sql, now, log: silentLog, metrics: { count: () => {} } };
      for (const body of [
        '',
        'null',
        '{"queueId":1}',
        '{"queueId":"99999999999999999999"}',
        '{"queueId":"1;--"}',
      ]) {
        await buryMessage(deps, { messageId: body, body, receiveCount: 5, sourceQueue: 'dead' });
      }
      const [letters] =
        await sql`SELECT count(*) FROM dead_letters WHERE queue_id IS NULL AND reason = 'NO_SUCH_WORK'`;
      expect(letters).toEqual({ count: 5 });
      expect(await row(queueId)).toMatchObject({ status: 'pending' });
    });

    async function arnOf(url: string) {
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }),
      );
      return Attributes?.QueueArn;
    }
  });
});

function clientFor(endpoint: string): SQSClient {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return new SQSClient({ endpoint, region: 'eu-central-1', credentials, maxAttempts: 1 });
}
