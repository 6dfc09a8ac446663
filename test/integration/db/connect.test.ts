import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../../lib/db/wake.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.ownerUrl, { applicationName: 'pds-info' });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

describe('connect', () => {
  it('gives ids and counts as numbers, moments as Date, JSON parsed, lists as arrays', async () => {
    const [row] = await sql`
      SELECT 9007199254740991::bigint AS id, count(*) AS n, '2026-02-21T10:30:00Z'::timestamptz AS moment,
        '{"a": [1]}'::jsonb AS json, '{create,delete}'::text[] AS list, '\\x00ff'::bytea AS bytes`;
    expect(row).toEqual({
      id: 9007199254740991,
      n: 1,
      moment: new Date('2026-02-21T10:30:00Z'),
      json: { a: [1] },
      list: ['create', 'delete'],
      bytes: Buffer.from([0, 255]),
    });
  });

  it('takes a moment as Date, or as text with all its microseconds', async () => {
    const text = '2026-02-21 10:30:00.123456+00';
    const [row] = await sql`
      SELECT ${text}::timestamptz AT TIME ZONE 'UTC' = '2026-02-21 10:30:00.123456' AS whole,
        ${new Date('2026-02-21T10:30:00.123Z')}::timestamptz AT TIME ZONE 'UTC' = '2026-02-21 10:30:00.123' AS milliseconds,
        ${'infinity'}::timestamptz = 'infinity' AS endless`;
    expect(row).toEqual({ whole: true, milliseconds: true, endless: true });
  });

  it('refuses an id that a number cannot hold, instead of rounding it', async () => {
    await expect(sql`SELECT 9007199254740993::bigint AS id`).rejects.toMatchObject({
      code: 'DATABASE_NUMBER_TOO_LARGE',
    });
    expect(await sql`SELECT 1 AS usable`).toEqual([{ usable: 1 }]);
  });

  it('says who it is', async () => {
    expect(await sql`SELECT current_setting('application_name') AS name`).toEqual([{ name: 'pds-info' }]);
  });

  it('keeps to its number of connections', async () => {
    const pids = await Promise.all(
      Array.from({ length: 5 }, () => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`),
    );
    expect(new Set(pids.map(([{ pid }]) => pid)).size).toBe(1);
  });

  it('gives up soon when nobody answers, and says who', async () => {
    const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((listening) => silent.once('listening', listening));
    const lost = connect(`postgres://a:b@127.0.0.1:${portOf(silent)}/c`, { connectTimeout: 1 });
    await expect(lost`SELECT 1`).rejects.toMatchObject({
      code: 'CONNECT_TIMEOUT',
      message: expect.stringContaining(`127.0.0.1:${portOf(silent)}`),
    });
    await lost.end({ timeout: 0 });
    silent.close();
  });

  it('speaks TLS or nothing when the URL asks for it', async () => {
    const verified = connect(`${database.ownerUrl}?sslmode=verify-full`, { connectTimeout: 2 });
    await expect(verified`SELECT 1`).rejects.toMatchObject({ code: 'TLS_REFUSED' });
    await verified.end({ timeout: 0 });
  });
});

describe('a lost connection', () => {
  const LOST = { code: 'CONNECTION_DESTROYED' };

  it('fails the query in flight, and the very next one works', async () => {
    const line = await breakableLine(database.ownerUrl);
    const client = connect(line.url);
    await client`SELECT 1`;
    for (let n = 1; n <= 3; n += 1) {
      line.break();
      await expect(client`SELECT ${n}::int AS n`).rejects.toMatchObject(LOST);
      expect(await client`SELECT ${n}::int AS n`).toEqual([{ n }]);
    }
    await client.end();
    line.close();
  });

  it('settles every query that waits, in transactions and out of them', async () => {
    const line = await breakableLine(database.ownerUrl);
    const client = connect(line.url);
    await client`SELECT 1`;
    line.break();
    const outcomes = await Promise.allSettled([
      client.begin((tx) => Promise.all([tx`SELECT ${1}::int`, tx`SELECT ${2}::int`, tx`SELECT ${3}::int`])),
      client`SELECT 4`,
      client`SELECT ${5}::int`,
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await client`SELECT 6 AS n`).toEqual([{ n: 6 }]);
    await client.end();
    line.close();
  });

  it.each(['idle in its transaction', 'busy with a query'])(
    'lets no statement of a transaction that was killed while %s run elsewhere',
    async (when) => {
      await sql`CREATE TABLE IF NOT EXISTS marks (mark text)`;
      const client = connect(database.ownerUrl);
      const killed = client.begin(async (tx) => {
        const [{ pid }] = await tx<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`;
        await tx`INSERT INTO marks VALUES ('before')`;
        const busy = when === 'busy with a query' ? tx`SELECT pg_sleep(10)`.catch(() => {}) : undefined;
        const superuser = connect(database.superuserUrl);
        await superuser`SELECT pg_terminate_backend(${pid})`;
        await superuser.end();
        await busy;
        // Somebody else's transaction is on its way when the lost one goes on.
        const other = client.begin(async (next) => {
          await next`INSERT INTO marks VALUES ('other')`;
          await next`SELECT pg_sleep(0.1)`;
          throw new Error('rolled back');
        });
        await expect(tx`INSERT INTO marks VALUES ('after')`).rejects.toThrow();
        await expect(other).rejects.toThrow('rolled back');
      });
      await expect(killed).rejects.toThrow();
      expect(await sql`SELECT mark FROM marks`).toEqual([]);
      expect(await client`SELECT 1 AS fine`).toEqual([{ fine: 1 }]);
      await client.end();
    },
  );

  it('is not met again when nobody answers for a while', async () => {
    const line = await breakableLine(database.ownerUrl);
    const client = connect(line.url);
    line.close();
    await expect(client`SELECT 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(client`SELECT 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await line.reopen();
    expect(await client`SELECT 1 AS back`).toEqual([{ back: 1 }]);
    await client.end();
    line.close();
  });
});

describe('a pause', () => {
  it('costs a new connection and no query, though the socket died unseen', async () => {
    const line = await breakableLine(database.ownerUrl);
    let now = 0;
    const client = connect(line.url, { now: () => now });
    await client`CREATE TABLE hits (id int)`;
    line.break();
    now += 60_000;
    await client`INSERT INTO hits VALUES (1)`;
    expect(await sql`SELECT id FROM hits`).toEqual([{ id: 1 }]);
    await client.end();
    line.close();
  });

  it('lets a long transaction finish', async () => {
    let now = 0;
    const client = connect(database.ownerUrl, { now: () => now });
    const long = client.begin(async (tx) => {
      await tx`SELECT 1`;
      now += 60_000;
      await client`SELECT 2`;
      return tx`SELECT 3 AS n`;
    });
    expect(await long).toEqual([{ n: 3 }]);
    await client.end();
  });

  it('is felt by an idle connection, which the server sees leave', async () => {
    const client = connect(database.ownerUrl, { idleTimeout: 1, applicationName: 'leaving' });
    await client`SELECT 1`;
    await expect
      .poll(() => sql`SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'leaving'`, {
        timeout: 30_000,
      })
      .toEqual([{ n: 0 }]);
    expect(await client`SELECT 1 AS n`).toEqual([{ n: 1 }]);
    await client.end();
  });
});

describe('wakeAfterFreeze', () => {
  it('takes the loss upon itself', async () => {
    const line = await breakableLine(database.ownerUrl);
    const client = connect(line.url);
    let now = 0;
    const wake = wakeAfterFreeze(client, { now: () => now });
    await client`SELECT 1`;
    line.break();
    now += 10_000;
    await wake();
    expect(await client`SELECT 1 AS n`).toEqual([{ n: 1 }]);
    await client.end();
    line.close();
  });

  it('asks nothing between two invocations that follow each other, and hides no other error', async () => {
    const refused = connect(database.ownerUrl.replace(/\/[^/]*$/, '/nowhere'));
    let now = 0;
    const wake = wakeAfterFreeze(refused, { now: () => now });
    now += 100;
    await wake();
    now += 60_000;
    await expect(wake()).rejects.toThrow('database "nowhere" does not exist');
    await refused.end();
  });
});

/** A way to the database that can lose its connections as a frozen Lambda does: the next byte meets a reset. */
async function breakableLine(url: string) {
  const { port, hostname } = new URL(url);
  const lines = new Set<{ client: net.Socket; server: net.Socket }>();
  const proxy = net.createServer((client) => {
    const server = net.connect(Number(port), hostname);
    const line = { client, server };
    lines.add(line);
    client.on('error', () => {}).on('close', () => lines.delete(line) && server.destroy());
    server.on('error', () => {}).on('close', () => client.destroy());
    client.pipe(server);
    server.pipe(client);
  });
  await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
  const ownPort = portOf(proxy);
  return {
    url: Object.assign(new URL(url), { port: ownPort }).href,
    break() {
      for (const { client, server } of lines) {
        server.unpipe().removeAllListeners('close').destroy();
        client.unpipe();
        client.removeAllListeners('data').once('data', () => client.resetAndDestroy());
        client.resume();
      }
    },
    close: () => proxy.close(),
    reopen: () => new Promise<void>((listening) => proxy.listen(ownPort, '127.0.0.1', listening)),
  };
}

function portOf(server: net.Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}
