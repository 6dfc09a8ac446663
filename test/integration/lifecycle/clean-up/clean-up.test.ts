import { randomBytes } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { cleanUp } from '../../../../lib/lifecycle/clean-up/clean-up.ts';
import { BATCH } from '../../../../lib/lifecycle/clean-up/delete-batch.ts';
import { RULES } from '../../../../lib/lifecycle/clean-up/rules.ts';
import { backUpCredentials } from '../../../../lib/lifecycle/custody/backup.ts';
import { createStorage } from '../../../../lib/lifecycle/export/storage.ts';
import { type Log, silentLog } from '../../../../lib/observability/log.ts';
import { redact } from '../../../../lib/observability/redact.ts';
import { countDeadLetters, readDeadLetters } from '../../../../lib/provisioning/dead-letters/dead-letters.ts';
import { redrive } from '../../../../lib/provisioning/dead-letters/redrive.ts';
import { enqueue, type QueueAction } from '../../../../lib/provisioning/queue/queue.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { giveIdentity } from '../active-identity.ts';

const USER = '7001';

let database: TestDatabase;
let worker: Sql;
/** Superuser: he alone can put things back in time. */
let god: Sql;
const logged: { message: string; fields: Record<string, unknown> }[] = [];
const counted: Record<string, number> = {};
beforeEach(async () => {
  logged.length = 0;
  for (const name of Object.keys(counted)) delete counted[name];
  database = await freshDatabase();
  worker = connect(database.workerUrl, { max: 4 });
  god = connect(database.superuserUrl, { max: 2 });
  await god`INSERT INTO users (id) VALUES (${USER})`;
});
afterEach(async () => {
  await Promise.all([worker.end(), god.end()]);
  await database.drop();
});

const log: Log = {
  ...silentLog,
  info: (message, fields = {}) => logged.push({ message, fields }),
  warn: (message, fields = {}) => logged.push({ message, fields }),
};
const run = (
  changes: { sql?: Sql; provisioningEnabled?: boolean; now?: () => number } = {},
  withinMs = 60_000,
) =>
  cleanUp(
    {
      sql: worker,
      provisioningEnabled: true,
      // There are none: nobody is asked.
      exports: createStorage(new S3Client({}), 'exports'),
      now: () => 0,
      log,
      metrics: { count: (name, by = 1) => (counted[name] = (counted[name] ?? 0) + by) },
      ...changes,
    },
    { withinMs },
  );
/** Without triggers, which would say that it was just changed. */
const inThePast = (statement: string) =>
  god.begin(async (tx) => {
    await tx.unsafe('SET LOCAL session_replication_role = replica');
    await tx.unsafe(statement);
  });
const add = (action: QueueAction = 'create', userId = USER) =>
  worker.begin((tx) => enqueue(tx, { userId, action })).then(({ queueId }) => queueId);
const work = async (queueId: string) => {
  const [row] = await god`SELECT * FROM pds_provisioning_queue WHERE id = ${queueId}`;
  return row;
};
const count = async (table: string) => (await god`SELECT FROM ${god(table)}`).length;
async function identity() {
  const vault = createVault({
    sql: worker,
    wrapper: createLocalWrapper(randomBytes(32).toString('base64')),
    environment: 'test',
  });
  await worker`INSERT INTO user_pds_mapping (user_id) VALUES (${USER}) ON CONFLICT DO NOTHING`;
  const given = await giveIdentity({ sql: god, vault }, USER);
  const backUp = (type: 'auto' | 'manual' = 'manual') =>
    worker.begin((tx) => backUpCredentials({ tx, vault }, USER, type));
  return { ...given, backUp };
}

describe('a join that was not agreed on in time', () => {
  it('lapses, and stands in nobody’s way', async () => {
    await god`INSERT INTO users (id) VALUES ('7002'), ('7003')`;
    await god`
      INSERT INTO pds_joins (from_user_id, to_user_id, reason, requested_by, expires_at)
      VALUES (${USER}, '7002', 'x', '1', now()), ('7002', '7003', 'x', '1', now() + interval '1 day')`;
    expect(await run()).toMatchObject({ joins_expired: 1 });
    const outcomes = await god`SELECT outcome FROM pds_joins ORDER BY id`;
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['expired', null]);
  });
});

describe('what is over', () => {
  const hash = (n: number) => `decode(lpad('${n}', 64, '0'), 'hex')`;
  /** A row by its age; with the least that it needs beside it. */
  const ROWS: Record<string, { days: number; insert: (n: number, days: string) => string }> = {
    sessions: {
      days: 7,
      insert: (n, days) =>
        `INSERT INTO sessions (user_id, token_hmac, login_method, expires_at) VALUES ('${USER}', ${hash(n)}, 'widget', now() - interval '${days}')`,
    },
    step_ups: {
      days: 1,
      insert: (
        n,
        days,
      ) => `WITH s AS (INSERT INTO sessions (user_id, token_hmac, login_method, expires_at) VALUES ('${USER}', ${hash(100 + n)}, 'widget', now() + interval '1 day') RETURNING id)
        INSERT INTO step_ups (session_id, user_id, operation, expires_at) SELECT id, '${USER}', 'x', now() - interval '${days}' FROM s`,
    },
    login_nonces: {
      days: 1,
      insert: (n, days) =>
        `INSERT INTO login_nonces (signature_hash, expires_at) VALUES (${hash(n)}, now() - interval '${days}')`,
    },
    login_tokens: {
      days: 1,
      insert: (n, days) =>
        `INSERT INTO login_tokens (token_hash, kind, user_id, expires_at) VALUES (${hash(n)}, 'link', '${USER}', now() - interval '${days}')`,
    },
    login_states: {
      days: 1,
      insert: (n, days) =>
        `INSERT INTO login_states (state_hash, browser_hash, return_to, expires_at) VALUES (${hash(n)}, ${hash(n)}, '/', now() - interval '${days}')`,
    },
    rate_limits: {
      days: 2,
      insert: (n, days) =>
        `INSERT INTO rate_limits (bucket, window_start) VALUES ('x:${n}', now() - interval '${days}')`,
    },
    telegram_updates: {
      days: 7,
      insert: (n, days) =>
        `INSERT INTO telegram_updates (update_id, received_at) VALUES (${n}, now() - interval '${days}')`,
    },
    telegram_messages: {
      days: 30,
      insert: (
        n,
        days,
      ) => `INSERT INTO telegram_messages (chat_id, kind, language, sent_at, gave_up_at, gave_up_reason)
        SELECT 1, 'help', 'en', CASE WHEN ${n} % 2 = 0 THEN at END, CASE WHEN ${n} % 2 = 1 THEN at END, CASE WHEN ${n} % 2 = 1 THEN 'x' END
        FROM (SELECT now() - interval '${days}' AS at) a`,
    },
    pds_changes: {
      days: 90,
      insert: (_, days) =>
        `INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, ended_at, outcome) VALUES ('${USER}', gen_random_uuid(), 'rename', '${USER}', now() - interval '${days}', 'done')`,
    },
    pds_joins: {
      days: 90,
      insert: (n, days) =>
        `WITH u AS (INSERT INTO users (id) VALUES ('7002') ON CONFLICT DO NOTHING)
        INSERT INTO pds_joins (from_user_id, to_user_id, reason, requested_by, ended_at, outcome) VALUES ('${USER}', '7002', '${n}', '1', now() - interval '${days}', 'done')`,
    },
    operator_messages: {
      days: 30,
      insert: (_, days) =>
        `INSERT INTO operator_messages (kind, subjects, subject_count, since, created_at, published_at) VALUES ('x', '{}', 1, now(), now() - interval '${days}', now())`,
    },
    dead_letters: {
      days: 30,
      insert: (n, days) =>
        `INSERT INTO dead_letters (source_queue, message_id, message_body, receive_count, reason, redriven_at) VALUES ('q', '${n}', '', 1, 'x', now() - interval '${days}')`,
    },
    pds_health_checks_default: {
      days: 30,
      insert: (_, days) =>
        `INSERT INTO pds_health_checks (pds_endpoint, check_type, status, created_at) VALUES ('x', 'connectivity', 'success', now() - interval '${days}')`,
    },
  };

  const nameOf = (table: string) => RULES.find((rule) => rule.table === table)?.what;

  it('has a name that the log lets through', () => {
    for (const { what } of RULES) expect([what, redact(what, 1)]).toEqual([what, 1]);
  });

  it('is deleted, and nothing else', async () => {
    for (const { days, insert } of Object.values(ROWS)) {
      for (const [n, age] of [`${days} days 1 hour`, `${days} days 1 hour`, `${days} days -1 hour`].entries())
        await god.unsafe(insert(n, age));
    }
    const done = await run();
    const expected = Object.fromEntries(Object.keys(ROWS).map((table) => [nameOf(table), 2]));
    expect(done).toMatchObject(expected);
    for (const table of Object.keys(ROWS).filter((name) => name !== 'sessions'))
      expect([table, await count(table)]).toEqual([table, 1]);
    expect(logged.at(-1)).toMatchObject({ message: 'cleaned up', fields: expected });
    expect(counted).toMatchObject({
      CleanedUpSessions: 2,
      CleanedUpLoginNonces: 2,
      CleanedUpPdsHealthChecksDefault: 2,
    });
    expect(Object.values(await run()).reduce((sum, n) => sum + n)).toBe(0);
  });

  it('is no message that still waits to be sent, however old, and no notice that was not told', async () => {
    await god`INSERT INTO telegram_messages (chat_id, kind, language, created_at) VALUES (1, 'help', 'en', now() - interval '1 year')`;
    await god`INSERT INTO operator_messages (kind, subjects, subject_count, since, created_at) VALUES ('x', '{}', 1, now(), now() - interval '1 year')`;
    await god`INSERT INTO operator_notices (kind, subject, created_at) VALUES ('x', 'x', now() - interval '1 year')`;
    await god`INSERT INTO dead_letters (source_queue, message_id, message_body, receive_count, reason, created_at) VALUES ('q', '1', '', 1, 'x', now() - interval '1 year')`;
    await run();
    for (const table of ['telegram_messages', 'operator_messages', 'operator_notices', 'dead_letters'])
      expect([table, await count(table)]).toEqual([table, 1]);
  });

  it('is deleted by more than one batch, until the time is up: the rest is for the next hour', async () => {
    const nonces = (many: number) => god`
      INSERT INTO login_nonces (signature_hash, expires_at)
      SELECT sha256(n::text::bytea), now() - interval '2 days' FROM generate_series(1, ${many}) n`;
    await nonces(2 * BATCH + 1);
    // The time is up after the first batch of these: the clock is looked at once before each step.
    const before = 4 + RULES.findIndex(({ table }) => table === 'login_nonces');
    let looks = 0;
    const now = () => (looks++ > before + 1 ? 1 : 0);
    expect(await run({ now }, 1)).toMatchObject({ login_nonces: BATCH });
    expect(logged.at(-1)?.fields.unfinished).toContain('login_nonces');
    await run();
    expect(await count('login_nonces')).toBe(0);
  });

  it('is deleted once, when two run at once, and a run that is killed loses nothing', async () => {
    await god`
      INSERT INTO login_nonces (signature_hash, expires_at)
      SELECT sha256(n::text::bytea), now() - interval '2 days' FROM generate_series(1, 5000) n`;
    const victim = connect(database.workerUrl, { applicationName: 'victim' });
    await victim`SELECT 1`; // he is killed at work, not on his way in
    const killed = run({ sql: victim }).catch(() => 'killed');
    await god`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'`;
    const [first, second] = await Promise.all([run(), run()]);
    await killed;
    await victim.end();
    await run();
    expect(await count('login_nonces')).toBe(0);
    expect((first?.login_nonces ?? 0) + (second?.login_nonces ?? 0)).toBeLessThanOrEqual(5000);
  });

  it('is deleted although one table is in trouble, and the trouble is not hushed up', async () => {
    await god`REVOKE DELETE ON login_tokens FROM pds_worker`;
    for (const table of ['login_tokens', 'login_states', 'sessions'])
      await god.unsafe(ROWS[table]?.insert(1, '40 days') ?? '');
    await expect(run()).rejects.toMatchObject({ code: '42501' });
    expect([await count('login_tokens'), await count('login_states'), await count('sessions')]).toEqual([
      1, 0, 0,
    ]);
  });
});

describe('handles', () => {
  it('that were given up are free after 90 days, and so are those of who was erased; no DID’s name ever is', async () => {
    const { did } = await identity();
    const name = (hostname: string, columns: Record<string, unknown>) =>
      god`INSERT INTO hostnames ${god({ hostname, kind: 'handle', user_id: USER, did, ...columns })}`;
    const gone = { kind: 'reserved', user_id: null, did: null };
    const released_at = new Date(Date.now() - 91 * 86_400_000);
    await name('lives.test', {});
    await name('over.test', { released_at, free_at: new Date() });
    await name('rests.test', { released_at, free_at: new Date(Date.now() + 86_400_000) });
    await name('refused.test', { kind: 'reserved', released_at });
    await name('erased.test', { ...gone, released_at });
    await name('erased-lately.test', { ...gone, released_at: new Date() });
    await name('operators.test', gone);
    await name(did.slice(8), { kind: 'did', user_id: null, released_at });
    // As it must not be, and it is still the name of a DID.
    await name('posing.test', { did: 'did:web:posing.test', released_at, free_at: released_at });
    expect(await run()).toMatchObject({ handles_freed: 2 });
    expect((await god`SELECT hostname FROM hostnames ORDER BY 1`).map(({ hostname }) => hostname)).toEqual(
      [
        'erased-lately.test',
        'lives.test',
        'operators.test',
        'posing.test',
        'refused.test',
        'rests.test',
        did.slice(8),
      ].sort(),
    );
    const free = god`UPDATE hostnames SET free_at = now() WHERE kind = 'did'`;
    await expect(free).rejects.toMatchObject({ code: '23514' });
  });
});

describe('what is never deleted', () => {
  it('stays, however old everything is: keys, the newest backup, names, members, the log', async () => {
    const { did, backUp } = await identity();
    await god`INSERT INTO hostnames (hostname, kind, user_id, did, released_at) VALUES (${did.slice(8)}, 'did', NULL, ${did}, now())`;
    for (const type of ['auto', 'manual', 'manual'] as const) await backUp(type);
    const kept = [
      'users',
      'user_pds_mapping',
      'hostnames',
      'pds_data_keys',
      'pds_erasure_keys',
      'pds_providers',
      'pds_provisioning_log',
      'pds_verification_keys',
    ];
    const before = await Promise.all(kept.map(count));
    for (const { table, column } of await god<{ table: string; column: string }[]>`
      SELECT c.table_name AS table, c.column_name AS column FROM information_schema.columns c JOIN pg_class k ON k.relname = c.table_name
      WHERE c.table_schema = 'public' AND c.data_type = 'timestamp with time zone' AND k.relkind = 'r' AND NOT k.relispartition
        AND c.table_name NOT IN ('pds_data_keys', 'pds_erasure_keys', 'pds_provisioning_log', 'pgmigrations')`)
      await inThePast(`UPDATE ${table} SET ${column} = ${column} - interval '10 years'`);
    await run();
    await run();
    expect(await Promise.all(kept.map(count))).toEqual(before);
    const backups = await god`SELECT id, backup_type, backup_state(b) AS state FROM pds_credential_backups b`;
    expect(backups).toEqual([{ id: 3, backup_type: 'manual', state: 'restorable' }]);
  });

  it('is a backup that expired while it is the only one left unused', async () => {
    const { backUp } = await identity();
    await backUp('auto');
    await backUp();
    await inThePast(`UPDATE pds_credential_backups SET expires_at = now() - interval '1 year'`);
    await god`UPDATE pds_credential_backups SET is_used = true, used_at = now() WHERE id = 2`;
    expect(await run()).toMatchObject({ backups: 1 });
    expect(await god`SELECT id FROM pds_credential_backups`).toEqual([{ id: 1 }]);
  });

  it('could not be deleted by the role that cleans up, either', async () => {
    for (const table of [
      'users',
      'user_pds_mapping',
      'hostnames',
      'pds_data_keys',
      'pds_provisioning_log',
      'pds_verification_keys',
    ])
      await expect(worker`DELETE FROM ${worker(table)}`).rejects.toMatchObject({ code: '42501' });
  });
});

describe('work', () => {
  const past = (queueId: string, changes: string) =>
    inThePast(`UPDATE pds_provisioning_queue SET ${changes} WHERE id = ${queueId}`);

  it('that is completed is deleted after 7 days, but for what an open dead letter names', async () => {
    const done = await add();
    await past(done, `status = 'completed', updated_at = now() - interval '8 days'`);
    const named = await add('verify');
    await past(named, `status = 'completed', updated_at = now() - interval '8 days'`);
    const young = await add('rotate_keys');
    await past(young, `status = 'completed', updated_at = now() - interval '6 days'`);
    await god`INSERT INTO dead_letters (queue_id, source_queue, message_id, message_body, receive_count, reason) VALUES (${named}, 'q', '1', '', 5, 'x')`;
    expect(await run()).toMatchObject({ completed_work: 1 });
    expect((await god`SELECT id::text FROM pds_provisioning_queue ORDER BY id`).map(({ id }) => id)).toEqual([
      named,
      young,
    ]);
  });

  it('that failed stays as long as it is open, and goes 7 days after it failed when it is not any more', async () => {
    const open = await add();
    await past(open, `status = 'failed', updated_at = now() - interval '1 year'`);
    await run();
    expect(await work(open)).toMatchObject({ status: 'failed' });
    await god`UPDATE user_pds_mapping SET status = 'revoked'`;
    expect(await run()).toMatchObject({ failed_work: 1 });
  });

  it('that failed does not come back as open when the newer work is deleted that took its place', async () => {
    const failed = await add('verify');
    await past(failed, `status = 'failed', updated_at = now() - interval '8 days'`);
    const newer = await add('verify');
    await past(newer, `status = 'completed', updated_at = now() - interval '8 days'`);
    const inTheWay = await god`
      INSERT INTO dead_letters (queue_id, source_queue, message_id, message_body, receive_count, reason)
      VALUES (${failed}, 'q', '1', '', 5, 'x') RETURNING id`;
    await run();
    expect(await readDeadLetters(worker, { limit: 10, offset: 0 })).toMatchObject({
      data: [{ code: 'WORK_WENT_ON' }],
    });
    await god`DELETE FROM dead_letters WHERE id IN ${god(inTheWay.map(({ id }) => id))}`;
    await run();
    await run();
    expect(await count('pds_provisioning_queue')).toBe(0);
    expect(await countDeadLetters(worker)).toBe(0);
  });

  it('that was late when it failed has its day of grace again after a redrive', async () => {
    const queueId = await add();
    await past(
      queueId,
      `status = 'failed', created_at = now() - interval '9 days', stale_since = now() - interval '2 days'`,
    );
    expect(await redrive({ sql: worker }, { queueId, by: '1' })).toMatchObject({ redriven: true });
    expect(await run()).toMatchObject({ work_marked_stale: 1, work_failed_stale: 0 });
  });

  it('that nobody did in 7 days is failed, with a reason, after a day of grace; then it can be redriven', async () => {
    const queueId = await add();
    await past(queueId, `created_at = now() - interval '8 days', next_retry = now() - interval '8 days'`);
    expect(await run()).toMatchObject({ work_marked_stale: 1, work_failed_stale: 0 });
    expect(await run()).toMatchObject({ work_marked_stale: 0, work_failed_stale: 0 });
    await past(queueId, `stale_since = stale_since - interval '25 hours'`);
    expect(await run()).toMatchObject({ work_failed_stale: 1, failed_work: 0 });
    expect(await work(queueId)).toMatchObject({
      status: 'failed',
      error_details: { code: 'NOT_DONE_IN_TIME' },
    });
    expect(await god`SELECT status, error_code FROM user_pds_mapping`).toEqual([
      { status: 'error', error_code: 'NOT_DONE_IN_TIME' },
    ]);
    expect(await god`SELECT kind FROM operator_notices`).toEqual([{ kind: 'identity_failed' }]);
    expect(await god`SELECT action, error_code FROM pds_provisioning_log`).toEqual([
      { action: 'error', error_code: 'NOT_DONE_IN_TIME' },
    ]);
    expect(await redrive({ sql: worker }, { queueId, by: '1' })).toMatchObject({ redriven: true });
    // It begins anew, with its day of grace.
    expect(await run()).toMatchObject({ work_marked_stale: 1, work_failed_stale: 0 });
    expect(await work(queueId)).toMatchObject({ status: 'pending' });
  });

  it.each([
    ['waits for a PDS', `parked_reason = 'provider_down'`],
    ['is in the hands of a worker', `status = 'processing', next_retry = now() + interval '1 minute'`],
    ['is done', `status = 'completed'`],
  ])('that %s meanwhile is not failed', async (_, state) => {
    const queueId = await add();
    await past(queueId, `created_at = now() - interval '30 days', next_retry = now() - interval '30 days'`);
    await run();
    await past(queueId, `stale_since = stale_since - interval '2 days', ${state}`);
    expect(await run()).toMatchObject({ work_failed_stale: 0 });
    expect((await work(queueId))?.status).not.toBe('failed');
  });

  it('that a dead worker left behind is failed as well', async () => {
    const queueId = await add();
    await past(
      queueId,
      `created_at = now() - interval '9 days', status = 'processing', next_retry = now() - interval '8 days', stale_since = now() - interval '2 days'`,
    );
    expect(await run()).toMatchObject({ work_failed_stale: 1 });
  });

  it('is not late while no identities are made, and has a day when they are made again', async () => {
    const queueId = await add();
    await past(queueId, `created_at = now() - interval '30 days', stale_since = now() - interval '3 days'`);
    await run({ provisioningEnabled: false });
    expect(await work(queueId)).toMatchObject({ status: 'pending', stale_since: null });
    expect(await run()).toMatchObject({ work_marked_stale: 1, work_failed_stale: 0 });
  });

  it('that somebody has in hand at this moment is left to the next run', async () => {
    const queueId = await add();
    await past(queueId, `status = 'completed', updated_at = now() - interval '8 days'`);
    await god.begin(async (tx) => {
      await tx`SELECT FROM pds_provisioning_queue WHERE id = ${queueId} FOR UPDATE`;
      expect(await run()).toMatchObject({ completed_work: 0 });
    });
    expect(await run()).toMatchObject({ completed_work: 1 });
  });

  it('and sessions of a member who is being deleted hold up neither him nor the clean-up', async () => {
    await god`INSERT INTO users (id) VALUES ('7002')`;
    await god`INSERT INTO sessions (user_id, token_hmac, login_method, expires_at) VALUES ('7002', sha256('x'), 'widget', now() - interval '1 year')`;
    let cleaning: Promise<unknown> | undefined;
    await god.begin(async (tx) => {
      await tx`DELETE FROM users WHERE id = '7002'`;
      cleaning = run();
    });
    await cleaning;
    expect(await count('sessions')).toBe(0);
  });
});

describe('the days of health checks', () => {
  const days = async () =>
    (
      await god<{ name: string }[]>`
      SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
      WHERE inhparent = 'pds_health_checks'::regclass AND relname ~ '[0-9]{8}$' ORDER BY 1`
    ).map(({ name }) => name.slice(-8));
  const day = async (offset: number) => {
    const [{ day }] = await god<
      [{ day: string }]
    >`SELECT to_char((now() AT TIME ZONE 'UTC')::date + ${offset}::int, 'YYYYMMDD') AS day`;
    return day;
  };
  const makeDay = async (offset: number) => {
    const [name, next] = [await day(offset), await day(offset + 1)];
    await god.unsafe(
      `CREATE TABLE pds_health_checks_${name} PARTITION OF pds_health_checks FOR VALUES FROM ('${name} 00:00+00') TO ('${next} 00:00+00')`,
    );
    await god.unsafe(`ALTER TABLE pds_health_checks_${name} OWNER TO pds_owner`);
    return name;
  };

  it('are made a week ahead, and dropped after 30 days', async () => {
    const [old, older, young] = [await makeDay(-31), await makeDay(-45), await makeDay(-30)];
    await god.unsafe(`DROP TABLE pds_health_checks_${await day(7)}`);
    expect(await run()).toMatchObject({ health_days_made: 1, health_days_dropped: 2 });
    const left = await days();
    expect(left).toContain(await day(7));
    expect(left).toContain(young);
    for (const name of [old, older]) expect(left).not.toContain(name);
  });

  it('wait for the next hour while somebody reads them for long, and everything else is done', async () => {
    const old = await makeDay(-31);
    await god`INSERT INTO telegram_updates (update_id, received_at) VALUES (1, now() - interval '1 year')`;
    await god.begin(async (tx) => {
      await tx`SELECT FROM pds_health_checks`;
      expect(await run()).toMatchObject({ health_days_dropped: 0, telegram_updates: 1 });
    });
    expect(await days()).toContain(old);
    expect(await run()).toMatchObject({ health_days_dropped: 1 });
  });

  it('are dropped by nobody who asks for less than a week', async () => {
    await expect(worker`SELECT drop_health_partition(0)`).rejects.toMatchObject({ code: '22023' });
    await expect(worker`SELECT drop_health_partition(NULL)`).rejects.toMatchObject({ code: '22023' });
  });
});
