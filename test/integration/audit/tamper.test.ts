import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../lib/audit/append.ts';
import { eraseMember } from '../../../lib/audit/erase.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { verifyLog } from '../../../lib/audit/verify-log.ts';
import { connect, type Sql, type Transaction } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { entry, type LoggedMember, newMember } from './harness.ts';
import { CHANGED_COLUMNS, loggedMember, TAMPERINGS, tamper } from './tampering.ts';

let database: TestDatabase;
let superuser: Sql;
let member: LoggedMember;
beforeAll(async () => {
  database = await freshDatabase();
  superuser = connect(database.superuserUrl);
  member = await loggedMember(superuser);
  const other = await newMember(superuser);
  const erased = await newMember(superuser);
  await superuser.begin(async (tx) => {
    await appendAudit(tx, entry(other));
    await appendAudit(tx, entry(erased));
    await eraseMember(tx, { ...erased, createdBy: 'system' });
  });
});
afterAll(async () => {
  await superuser.end();
  await database.drop();
});

/** What the log looks like after the tampering, which is undone afterwards. */
async function afterTampering<T>(statement: string, look: (tx: Transaction) => Promise<T>): Promise<T> {
  let seen: { value: T } | undefined;
  const undo = new Error('undo');
  await superuser
    .begin(async (tx) => {
      expect(await tamper(tx, statement, member)).toBeGreaterThan(0);
      seen = { value: await look(tx) };
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  if (!seen) throw new Error('nothing was seen');
  return seen.value;
}

describe('the verifier', () => {
  it('accepts the chain as it is', async () => {
    expect(await verifyMember(superuser, member.pnptvUuid)).toMatchObject({ intact: true, rows: 4 });
    expect(await verifyLog(superuser)).toEqual({ members: 3, entries: 7, broken: null });
    const members = [member.pnptvUuid];
    expect(await verifyLog(superuser, { members })).toEqual({ members: 1, entries: 4, broken: null });
    expect(await verifyLog(superuser, { members: [] })).toEqual({ members: 0, entries: 0, broken: null });
  });

  it('is tested against a change of every column there is', async () => {
    const columns = await superuser<{ name: string }[]>`
      SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'pds_provisioning_log'`;
    expect(Object.keys(CHANGED_COLUMNS).sort()).toEqual(columns.map(({ name }) => name).sort());
  });

  it.each(TAMPERINGS)('names the row that was $what', async ({ statement, seq, fault }) => {
    const named = { seq, ...(fault && { fault }) };
    expect(await afterTampering(statement, (tx) => verifyMember(tx, member.pnptvUuid))).toMatchObject({
      intact: false,
      ...named,
    });
    const { pnptvUuid } = member;
    expect(await afterTampering(statement, (tx) => verifyLog(tx))).toEqual({
      members: 2,
      entries: 3 + seq - 1,
      broken: expect.objectContaining({ pnptvUuid, ...named }),
    });
  });

  it('misses a chain that is gone as a whole', async () => {
    const statement = 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member';
    const members = [member.pnptvUuid];
    const broken = { pnptvUuid: member.pnptvUuid, seq: 1, id: null, fault: 'missing' };
    expect(await afterTampering(statement, (tx) => verifyLog(tx))).toEqual({
      members: 2,
      entries: 3,
      broken,
    });
    expect(await afterTampering(statement, (tx) => verifyLog(tx, { members }))).toMatchObject({ broken });
  });
});

describe('the verifier of a large log', () => {
  it('goes through several batches, while they grow, and stops when it is told to', async () => {
    const sql = connect(database.apiUrl, { max: 2 });
    const members = await Promise.all(Array.from({ length: 5 }, () => newMember(sql)));
    for (const one of members)
      await sql.begin(async (tx) => {
        for (let n = 0; n < 500; n += 1) await appendAudit(tx, entry(one, { details: { n } }));
      });
    const [verdict] = await Promise.all([
      verifyLog(sql),
      ...members.map((one) => sql.begin((tx) => appendAudit(tx, entry(one)))),
    ]);
    expect(verdict).toMatchObject({ members: 8, broken: null });
    expect(verdict.entries).toBeGreaterThanOrEqual(2507);

    await expect(verifyLog(sql, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'AUDIT_TOO_LARGE',
    });
    const impatient = sql.begin(async (tx) => {
      await tx`SET LOCAL statement_timeout = 1`;
      await verifyLog(tx);
    });
    await expect(impatient).rejects.toMatchObject({ code: 'AUDIT_TOO_LARGE' });
    expect(await verifyLog(sql)).toMatchObject({ entries: 2512, broken: null });
    await sql.end();
  }, 60_000);
});
