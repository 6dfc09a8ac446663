import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let api: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  api = connect(database.apiUrl);
});
afterAll(async () => {
  await api.end();
  await database.drop();
});

describe('pds_api', () => {
  it('has no right to the migrations', async () => {
    await expect(api`SELECT * FROM pgmigrations`).rejects.toThrow('permission denied');
  });
});
