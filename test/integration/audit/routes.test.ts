import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as contracts from '../../../lib/audit/api.ts';
import { appendAudit } from '../../../lib/audit/append.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, type Call, call, logIn, newcomer, setEnvironment } from '../http/app.ts';
import { entry, type LoggedMember } from './harness.ts';
import { tamper } from './tampering.ts';

let database: TestDatabase;
let superuser: Sql;
let verify: ApiHandler;
beforeAll(async () => {
  database = await freshDatabase();
  superuser = connect(database.superuserUrl);
  setEnvironment(database);
  verify = (await import('../../../functions/audit/verify-audit.ts')).handler;
});
afterAll(async () => {
  await superuser.end();
  await database.drop();
});

const asAdmin = async () => logIn({ id: ADMIN_ID, first_name: `Root ${randomUUID()}` });
const askVerdict = (options: Call) => call(verify, contracts.verifyAudit, options);

/** A member who has logged in, with three entries. */
async function member(): Promise<LoggedMember & { cookie: string }> {
  const user = newcomer();
  const cookie = await logIn(user);
  const userId = String(user.id);
  const [mapping] = await superuser<[{ pnptv_uuid: string }]>`
    SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}`;
  const logged = { userId, pnptvUuid: mapping.pnptv_uuid, cookie };
  await superuser.begin(async (tx) => {
    await appendAudit(tx, { ...entry(logged), details: { half: 0.5, name: 'Alíce ✓' } });
    await appendAudit(tx, { ...entry(logged), status: 'failed', errorMessage: 'down', errorCode: 'DOWN' });
    await appendAudit(tx, { ...entry(logged), createdBy: userId });
  });
  return logged;
}

describe('GET /api/admin/audit/verify', () => {
  it('verifies the whole log, or one member', async () => {
    const { userId } = await member();
    await member();
    const cookie = await asAdmin();
    const all = await askVerdict({ cookie });
    expect(all.data).toMatchObject({ intact: true, members: 2, entries: 6, broken: null });
    const one = await askVerdict({ cookie, query: { userId } });
    expect(one.data).toEqual({ intact: true, members: 1, entries: 3, broken: null });
  });

  it('names the first row that does not hold, also of a member whose rows no longer name him', async () => {
    const victim = await member();
    await superuser.begin((tx) =>
      tamper(tx, "UPDATE pds_provisioning_log SET user_id = '4711' WHERE pnptv_uuid = :member", victim),
    );
    const broken = { pnptv_uuid: victim.pnptvUuid, seq: 1, id: expect.any(Number), reason: 'user_id' };
    const cookie = await asAdmin();
    for (const query of [undefined, { userId: victim.userId }]) {
      const { data } = await askVerdict({ cookie, ...(query && { query }) });
      expect(data).toMatchObject({ intact: false, broken });
    }
    const restore = `UPDATE pds_provisioning_log SET user_id = '${victim.userId}' WHERE pnptv_uuid = :member`;
    await superuser.begin((tx) => tamper(tx, restore, victim));
    expect((await askVerdict({ cookie })).data.intact).toBe(true);
  });

  it('is for administrators, about members who exist', async () => {
    const { cookie: other, userId } = await member();
    const refused = await askVerdict({ cookie: other, query: { userId } });
    expect([refused.status, refused.error?.code]).toEqual([403, 'ADMIN_REQUIRED']);
    expect((await askVerdict({ cookie: other })).status).toBe(403);
    expect((await askVerdict({})).status).toBe(401);
    const cookie = await asAdmin();
    const unknown = await askVerdict({ cookie, query: { userId: '987654321' } });
    expect([unknown.status, unknown.error?.code]).toEqual([404, 'MEMBER_NOT_FOUND']);
    for (const [name, value] of [
      ['userId', ''],
      ['userId', "1' OR true"],
      ['user', '1'],
    ] as const)
      expect((await askVerdict({ cookie, query: { [name]: value } })).status).toBe(400);
  });
});
