import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as contracts from '../../../lib/audit/api.ts';
import { appendAudit } from '../../../lib/audit/append.ts';
import { type LogExport, verifyExport } from '../../../lib/audit/export.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, type Call, call, logIn, newcomer, setEnvironment } from '../http/app.ts';
import { auditVerify } from './audit-verify.ts';
import { entry, type LoggedMember } from './harness.ts';
import { tamper } from './tampering.ts';

let database: TestDatabase;
let superuser: Sql;
let verify: ApiHandler;
let download: ApiHandler;
beforeAll(async () => {
  database = await freshDatabase();
  superuser = connect(database.superuserUrl);
  setEnvironment(database);
  verify = (await import('../../../functions/audit/verify-audit.ts')).handler;
  download = (await import('../../../functions/audit/export-log.ts')).handler;
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

describe('GET /api/pds/provisioning-log/export', () => {
  const askExport = (cookie?: string) =>
    call(download, contracts.exportLog, cookie === undefined ? {} : { cookie });

  it('is a file with all entries of the member and nothing of another, and verifies with itself alone', async () => {
    const [one, other] = [await member(), await member()];
    const { data, headers } = await askExport(one.cookie);
    expect(headers['content-disposition']).toBe('attachment; filename="audit-log.json"');
    expect(data.pnptv_uuid).toBe(one.pnptvUuid);
    expect(data.entries).toMatchObject([
      { seq: 1, details: { half: 0.5, name: 'Alíce ✓' }, user_id: one.userId },
      { seq: 2, status: 'failed', error_code: 'DOWN', error_message: 'down', created_by: 'system' },
      { seq: 3, created_by: one.userId },
    ]);
    expect(JSON.stringify(data)).not.toContain(other.userId);
    expect(JSON.stringify(data)).not.toContain(other.pnptvUuid);
    expect(verifyExport(data)).toEqual({ members: 1, entries: 3, broken: null });
  });

  it('shows every change that is made to the file', async () => {
    const { cookie } = await member();
    const { data } = (await askExport(cookie)) as { data: LogExport };
    const entries = data.entries as Record<string, unknown>[];
    const changed: Record<string, unknown> = { id: 1, seq: 9, details: { half: 1 }, status: 'x' };
    for (const column of Object.keys(entries[1] ?? {})) {
      const isHash = /_commitment$|_hash$/.test(column);
      const value = changed[column] ?? (isHash ? 'ab'.repeat(32) : '2020-01-01T00:00:00.000000Z');
      const forged = { ...data, entries: entries.with(1, { ...entries[1], [column]: value }) } as LogExport;
      expect([column, verifyExport(forged).broken?.seq]).toEqual([column, 2]);
    }
    expect(verifyExport({ ...data, entries: data.entries.toSpliced(1, 1) }).broken).toMatchObject({ seq: 2 });
    expect(verifyExport({ ...data, erasure_key: null }).broken).toMatchObject({ fault: 'erasure' });
    expect(verifyExport({ ...data, pnptv_uuid: randomUUID() }).broken).toMatchObject({
      seq: 1,
      fault: 'row',
    });
  });

  it('is verified by audit:verify, as it was answered and by itself', async () => {
    const { cookie, pnptvUuid } = await member();
    const { data } = (await askExport(cookie)) as { data: LogExport };
    const folder = await mkdtemp(path.join(tmpdir(), 'audit-export-'));
    const verdictOn = async (content: unknown) => {
      const file = path.join(folder, 'audit-log.json');
      await writeFile(file, JSON.stringify(content, null, 2));
      return auditVerify(file);
    };
    const intact = {
      code: 0,
      output: expect.stringMatching(
        /^No signed root is in it: nothing shows whether entries are missing at its end.*\nIntact: 3 entries of 1 member\.\n$/s,
      ),
    };
    expect(await verdictOn({ success: true, data })).toEqual(intact);
    expect(await verdictOn(data)).toEqual(intact);
    expect(await verdictOn({ ...data, entries: data.entries.toSpliced(0, 1) })).toEqual({
      code: 1,
      output: expect.stringContaining(`BROKEN at entry 1 of ${pnptvUuid}: it is not there`),
    });
    expect(await verdictOn({ ...data, note: 'slipped in' })).toMatchObject({ code: 2 });
    await rm(folder, { recursive: true });
  });

  it('is empty before anything is logged, is for members only, and has its limit', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const { data } = await askExport(cookie);
    expect(data).toEqual({
      format: 'pds-audit-log/1',
      pnptv_uuid: null,
      erasure_key: null,
      entries: [],
      root: null,
    });
    expect(verifyExport(data)).toEqual({ members: 0, entries: 0, broken: null });
    expect((await askExport()).status).toBe(401);

    const userId = String(user.id);
    const [mapping] = await superuser<[{ pnptv_uuid: string }]>`
      SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}`;
    await superuser.begin(async (tx) => {
      for (let n = 0; n <= 3000; n += 1)
        await appendAudit(tx, entry({ userId, pnptvUuid: mapping.pnptv_uuid }));
    });
    const { status, error } = await askExport(cookie);
    expect([status, error?.code]).toEqual([409, 'LOG_TOO_LARGE']);
  }, 60_000);
});
