import { execFile } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLog } from '../../../lib/audit/verify-log.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { setEnvironment } from '../http/app.ts';
import { ask, codeOf, memberWithFactor, verdict } from './second-factor.ts';

type Ended = { code: number; out: string; err: string };
function run(script: string, ...args: string[]): Promise<Ended> {
  const file = path.resolve(import.meta.dirname, '../../../infra/local', script);
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

describe('npm run totp', () => {
  const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

  it('prints the code of now, and beside it how long that is so', async () => {
    const before = codeOf(SECRET);
    const { code, out, err } = await run('totp.ts', SECRET);
    expect(code).toBe(0);
    expect([`${before}\n`, `${codeOf(SECRET)}\n`]).toContain(out);
    expect(err).toMatch(/^The next one comes in ([1-9]|[12]\d|30) s\.\n$/);
  });

  it.each(['not base32!', 'GEZDG'])('says that %j is no secret', async (secret) => {
    const { code, out, err } = await run('totp.ts', secret);
    expect([code, out, err]).toEqual([1, '', expect.stringMatching(/^SECRET is no base32[^\n]+\n$/)]);
  });
});

describe('npm run 2fa:remove', () => {
  let database: TestDatabase;
  let sql: Sql;
  beforeAll(async () => {
    database = await freshDatabase();
    setEnvironment(database);
    sql = connect(database.superuserUrl);
  });
  afterAll(async () => {
    await sql.end();
    await database.drop();
  });

  it('removes the factor of one member, logs him out, and says so in his log, which still verifies', async () => {
    const [lost, other] = [await memberWithFactor(), await memberWithFactor()];
    const { code, out } = await run('remove-factor.ts', lost.id, '--database', database.ownerUrl);
    expect([code, out]).toEqual([0, expect.stringContaining(`Removed the second factor of ${lost.id}.`)]);
    expect(await verdict(ask('getSession', { cookie: lost.cookie }))).toEqual([401, 'SESSION_REQUIRED']);
    const left = await sql`SELECT user_id FROM totp_factors`;
    expect([...left]).toEqual([{ user_id: other.id }]);
    expect(await verdict(ask('getSession', { cookie: other.cookie }))).toEqual([200]);
    const [entry] = await sql`
      SELECT action, created_by FROM pds_provisioning_log WHERE user_id = ${lost.id} ORDER BY seq DESC LIMIT 1`;
    expect(entry).toEqual({ action: 'second_factor_removed', created_by: 'operator' });
    expect(await sql.begin((tx) => verifyLog(tx))).toMatchObject({ broken: null });

    const again = await run('remove-factor.ts', lost.id, '--database', database.ownerUrl);
    const nobody = `Nobody with the Telegram id ${lost.id} has a second factor.\n`;
    expect([again.code, again.err]).toEqual([1, nobody]);
  });
});
