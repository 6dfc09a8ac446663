import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Sqs, startSqs } from '../../../infra/local/aws/sqs.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { openTopic } from '../../../lib/lifecycle/tell-operators/open-topic.ts';
import { type Publish, publishMessages } from '../../../lib/lifecycle/tell-operators/publish-messages.ts';
import { MOST_AN_HOUR, writeMessages } from '../../../lib/lifecycle/tell-operators/write-messages.ts';
import { silentLog } from '../../../lib/observability/log.ts';
import { NOTICES, type NoticeKind } from '../../../lib/operators/notices.ts';
import { notifyOperators } from '../../../lib/operators/notify.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const CHAT = -1001234567890;

let database: TestDatabase;
let sql: Sql;
let owner: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.workerUrl, { max: 6 });
  owner = connect(database.ownerUrl);
});
beforeEach(() => owner`TRUNCATE operator_notices, operator_messages, telegram_messages`);
afterAll(async () => {
  await Promise.all([sql.end(), owner.end()]);
  await database.drop();
});

const note = (subject: string, kind: NoticeKind = 'circuit_open') => notifyOperators(sql, { kind, subject });
const write = () => writeMessages({ sql, chatId: CHAT });
/** Lets time pass for what was told. */
const pass = (time: string) =>
  owner`UPDATE operator_messages SET created_at = created_at - ${time}::interval, next_attempt_at = next_attempt_at - ${time}::interval`;
const inChat = () => owner<{ chat_id: number; kind: string; details: Record<string, unknown> }[]>`
  SELECT chat_id, kind, details FROM telegram_messages ORDER BY id`;
const written = () => owner`SELECT kind, subjects, subject_count FROM operator_messages ORDER BY id`;

type Published = { subject: string; text: string };
const counted: string[] = [];
async function publish(deliver: Publish) {
  counted.length = 0;
  const metrics = { count: (name: string) => counted.push(name) };
  return publishMessages({ sql, publish: deliver, environment: 'test', log: silentLog, metrics });
}
/** A topic that remembers. */
function topic(mishap?: (message: Published) => unknown) {
  const published: Published[] = [];
  const deliver = async (message: Published) => {
    published.push(message);
    const trouble = mishap?.(message);
    if (trouble) throw trouble;
  };
  return { published, deliver };
}

describe('operators are told', () => {
  it('the first of a kind at once, what follows within the hour in one message, as more of the same', async () => {
    await note('local');
    expect(await write()).toBe(1);
    for (let n = 1; n <= 37; n += 1) await note(`remote:pds-${n}.example`);
    expect(await write()).toBe(0);
    await pass('59 minutes');
    expect(await write()).toBe(0);
    await pass('1 minute');
    expect(await write()).toBe(1);
    expect(await written()).toMatchObject([{ subjects: ['local'], subject_count: 1 }, { subject_count: 37 }]);
    const { published, deliver } = topic();
    await publish(deliver);
    expect(published[0]?.text).toMatch(
      /^A PDS does not answer\..*\n\n1 since .* UTC: local\n\nWhat to do: See to/s,
    );
    expect(published[1]?.text).toMatch(
      /37 more since .*: (remote:pds-\d+\.example, ){4}remote:pds-\d+\.example and 32 others/,
    );
    expect(published.map(({ subject }) => subject)).toEqual([
      'PDS test: circuit_open (1)',
      'PDS test: circuit_open (37)',
    ]);
    expect(
      (await inChat()).map(({ chat_id, kind, details }) => [
        chat_id,
        kind,
        details.subject_count,
        details.is_more,
      ]),
    ).toEqual([
      [CHAT, 'operators', 1, false],
      [CHAT, 'operators', 37, true],
    ]);
  });

  it('each kind for itself, but no more than so many messages an hour: the rest adds up and comes later', async () => {
    const kinds = Array.from({ length: MOST_AN_HOUR + 3 }, (_, n) => `kind_${n}`);
    for (const kind of kinds) await note('it', kind as NoticeKind);
    expect(await write()).toBe(MOST_AN_HOUR);
    await note('it again', 'kind_0' as NoticeKind);
    expect(await write()).toBe(0);
    await pass('1 hour');
    // Who was not heard yet comes before who was heard already.
    expect(await write()).toBe(4);
    expect((await written()).map(({ kind }) => kind).slice(MOST_AN_HOUR)).toEqual(
      expect.arrayContaining([...kinds.slice(MOST_AN_HOUR), 'kind_0']),
    );
    expect(await owner`SELECT FROM operator_notices`).toHaveLength(0);
  });

  it('each thing in one message, however many runs there are at once', async () => {
    for (let n = 0; n < 20; n += 1) await note(`subject ${n}`, n % 2 ? 'circuit_open' : 'dead_letter');
    const runs = await Promise.all(Array.from({ length: 6 }, () => write()));
    expect(runs.reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(await written()).toMatchObject([{ subject_count: 10 }, { subject_count: 10 }]);
    const { published, deliver } = topic();
    await Promise.all(Array.from({ length: 6 }, () => publish(deliver)));
    expect(published).toHaveLength(2);
    expect(await inChat()).toHaveLength(2);
  });

  it('of a kind that this version does not know, without its words', async () => {
    await note('x', 'of_tomorrow' as NoticeKind);
    await write();
    const { published, deliver } = topic();
    await publish(deliver);
    expect(published[0]?.text).toMatch(/no words.*1 since .*: x.*of_tomorrow/s);
  });

  it('in words for somebody woken by it, which an e-mail can carry', () => {
    const readme = readFileSync(path.resolve(import.meta.dirname, '../../../README.md'), 'utf8');
    for (const [kind, { means, todo, see }] of Object.entries(NOTICES)) {
      expect([kind, means, todo]).toEqual([
        kind,
        expect.stringMatching(/^[A-Z].{20,}\.$/),
        expect.stringMatching(/^[A-Z].{5,}\.$/),
      ]);
      expect([kind, readme.includes(`\n### ${see}\n`), readme.includes(`\`${kind}\``)]).toEqual([
        kind,
        true,
        true,
      ]);
      expect(`PDS production: ${kind} (100000)`).toMatch(/^[\x20-\x7e]{1,99}$/);
    }
  });
});

describe('the trouble of a channel', () => {
  it('loses nothing and stops no other: an outage of the topic', async () => {
    await note('local');
    await note('message 1', 'dead_letter');
    await write();
    const broken = topic(() => new Error('down'));
    expect(await publish(broken.deliver)).toEqual({ published: 0, failed: 1 });
    expect(counted).toEqual(['OperatorsNotTold']);
    expect(broken.published).toHaveLength(1); // the others would only wait as well
    expect(await inChat()).toHaveLength(2);
    await pass('1 hour');
    const { published, deliver } = topic();
    expect(await publish(deliver)).toEqual({ published: 2, failed: 0 });
    expect(new Set(published.map(({ subject }) => subject)).size).toBe(2);
    expect(await publish(deliver)).toEqual({ published: 0, failed: 0 });
  });

  it('tries again at growing intervals, for as long as it takes', async () => {
    await note('local');
    await write();
    const { deliver } = topic(() => new Error('down'));
    const pauses: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      await publish(deliver);
      const [message] = await owner<[{ pause: number }]>`
        SELECT extract(epoch FROM next_attempt_at - now())::float8 AS pause FROM operator_messages`;
      pauses.push(Math.round(message.pause / 10) * 10);
      await pass('10 minutes');
    }
    expect(pauses).toEqual([30, 60, 120, 240, 480, 600, 600, 600]);
    expect(await publish(topic().deliver)).toEqual({ published: 1, failed: 0 });
  });

  it('one message that the topic never takes does not keep back the others', async () => {
    await note('local');
    await write();
    const picky = topic(({ subject }) =>
      subject.includes('circuit_open') ? new Error('invalid') : undefined,
    );
    await publish(picky.deliver);
    await pass('1 hour');
    await note('message 1', 'dead_letter');
    await write();
    await publish(picky.deliver);
    await publish(picky.deliver);
    expect(await owner`SELECT kind FROM operator_messages WHERE published_at IS NOT NULL`).toEqual([
      { kind: 'dead_letter' },
    ]);
  });

  it('a publisher that died at work is made up for: its message goes out, perhaps a second time', async () => {
    await note('local');
    await write();
    await owner`UPDATE operator_messages SET attempts = 1, next_attempt_at = now() + interval '1 minute'`;
    const { published, deliver } = topic();
    await publish(deliver);
    expect(published).toHaveLength(0);
    await pass('61 seconds');
    await publish(deliver);
    expect(published).toHaveLength(1);
  });

  it('without a chat, the topic is told', async () => {
    await note('local');
    expect(await writeMessages({ sql, chatId: undefined })).toBe(1);
    expect(await inChat()).toEqual([]);
    expect(await publish(topic().deliver)).toEqual({ published: 1, failed: 0 });
  });
});

describe('over the protocol of SNS', () => {
  const access = { region: 'eu-central-1', credentials: { accessKeyId: 'x', secretAccessKey: 'x' } };
  let server: Sqs;
  beforeAll(async () => {
    server = await startSqs();
    process.env.AWS_ENDPOINT_URL_SNS = server.url;
    process.env.AWS_REGION = access.region;
    process.env.AWS_ACCESS_KEY_ID = 'x';
    process.env.AWS_SECRET_ACCESS_KEY = 'x';
  });
  afterAll(() => server.stop());

  it('a subscriber gets the words, and a topic that is not there is trouble of the channel', async () => {
    const sns = new SNSClient({ ...access, endpoint: server.url });
    const sqs = new SQSClient({ ...access, endpoint: server.url });
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'operators' }));
    await sqs.send(new CreateQueueCommand({ QueueName: 'mailbox' }));
    await sns.send(
      new SubscribeCommand({
        TopicArn,
        Protocol: 'sqs',
        Endpoint: 'arn:aws:sqs:eu-central-1:000000000000:mailbox',
      }),
    );
    await note('local');
    await write();
    expect(await publish(openTopic(`${TopicArn}-not-there`))).toEqual({ published: 0, failed: 1 });
    await pass('1 hour');
    expect(await publish(openTopic(TopicArn))).toEqual({ published: 1, failed: 0 });
    const { Messages: [mail] = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: server.queueUrl('mailbox'), WaitTimeSeconds: 5 }),
    );
    const { Subject, Message } = JSON.parse(mail?.Body ?? '{}');
    expect(Subject).toBe('PDS test: circuit_open (1)');
    expect(Message).toContain(NOTICES.circuit_open.means);
    sns.destroy();
    sqs.destroy();
  });
});
