import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { notifyOperators } from '../../../lib/operators/notify.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let sql: Sql;
let other: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.workerUrl);
  other = connect(database.apiUrl);
});
beforeEach(() => sql`DELETE FROM operator_notices`);
afterAll(async () => {
  await Promise.all([sql.end(), other.end()]);
  await database.drop();
});

const noted = () => sql`SELECT kind, subject FROM operator_notices ORDER BY id`;

it('notes a subject once for each kind until it is told', async () => {
  for (const subject of ['local', 'local', 'remote:pds.example', 'local'])
    await notifyOperators(sql, { kind: 'circuit_open', subject });
  await notifyOperators(sql, { kind: 'circuit_closed', subject: 'local' });
  expect(await noted()).toEqual([
    { kind: 'circuit_open', subject: 'local' },
    { kind: 'circuit_open', subject: 'remote:pds.example' },
    { kind: 'circuit_closed', subject: 'local' },
  ]);
});

it('notes nothing that did not come true', async () => {
  const undone = sql.begin(async (tx) => {
    await notifyOperators(tx, { kind: 'identity_failed', subject: 'nobody' });
    throw new Error('rolled back');
  });
  await expect(undone).rejects.toThrow('rolled back');
  expect(await noted()).toEqual([]);
});

it('waits for nobody, also not for who notes the same at this moment', async () => {
  await sql.begin(async (tx) => {
    await notifyOperators(tx, { kind: 'circuit_open', subject: 'local' });
    await other.begin(async (tx) => {
      await tx`SET LOCAL lock_timeout = '1s'`;
      await notifyOperators(tx, { kind: 'circuit_open', subject: 'local' });
    });
  });
  expect(new Set((await noted()).map(({ subject }) => subject))).toEqual(new Set(['local']));
});
