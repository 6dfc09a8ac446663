import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let worker: Sql;
let owner: Sql;
beforeEach(async () => {
  database = await freshDatabase();
  worker = connect(database.workerUrl, { max: 4 });
  owner = connect(database.ownerUrl);
});
afterEach(async () => {
  await Promise.all([worker.end(), owner.end()]);
  await database.drop();
});

const check = (createdAt: string) => worker`
  INSERT INTO pds_health_checks (pds_endpoint, check_type, status, created_at)
  VALUES ('http://127.0.0.1:3000', 'connectivity', 'success', ${createdAt}::timestamptz)`;
const partitionOf = async () =>
  (await worker`SELECT tableoid::regclass::text AS name FROM pds_health_checks`).map(({ name }) => name);

describe('pds_health_checks', () => {
  it('has a partition for today and the next seven days from the first migration on', async () => {
    const partitions =
      await owner`SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pds_health_checks'::regclass`;
    expect(partitions).toHaveLength(9);
    const [{ today }] = await owner<
      [{ today: string }]
    >`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') AS today`;
    await check(new Date().toISOString());
    expect(await partitionOf()).toEqual([`pds_health_checks_${today}`]);
  });

  it('divides the days at midnight UTC, whatever the time zone of the session', async () => {
    await owner.begin(async (tx) => {
      await tx`SET LOCAL timezone = 'Pacific/Kiritimati'`;
      await tx`SELECT make_health_partitions(30)`;
    });
    const [{ day }] = await owner<
      [{ day: string }]
    >`SELECT to_char((now() AT TIME ZONE 'UTC')::date + 20, 'YYYY-MM-DD') AS day`;
    await check(`${day} 00:00:00+00`);
    await check(`${day} 23:59:59.999999+00`);
    const name = `pds_health_checks_${day.replaceAll('-', '')}`;
    expect(await partitionOf()).toEqual([name, name]);
  });

  it('loses no row when nobody made the partition, and leaves it where it is', async () => {
    const [{ day }] = await owner<
      [{ day: string }]
    >`SELECT ((now() AT TIME ZONE 'UTC')::date + 9)::text AS day`;
    await check(`${day} 12:00:00+00`);
    expect(await partitionOf()).toEqual(['pds_health_checks_default']);
    expect(await worker`SELECT make_health_partitions(10) AS made`).toEqual([{ made: 2 }]);
    expect(await partitionOf()).toEqual(['pds_health_checks_default']);
  });

  it('makes each partition once, also when several ask at the same time', async () => {
    const results = await Promise.all(
      Array.from({ length: 4 }, () => worker<[{ made: number }]>`SELECT make_health_partitions(12) AS made`),
    );
    expect(results.map(([{ made }]) => made).sort()).toEqual([0, 0, 0, 5]);
  });

  it('refuses to make more than two months', async () => {
    await expect(worker`SELECT make_health_partitions(61)`).rejects.toThrow('0 to 60');
  });
});
