import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../lib/audit/append.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { entry, type LoggedMember, newMember } from './harness.ts';

let database: TestDatabase;
let superuser: Sql;
let member: LoggedMember;
beforeAll(async () => {
  database = await freshDatabase();
  superuser = connect(database.superuserUrl);
  member = await newMember(superuser);
  const other = await newMember(superuser);
  await superuser.begin(async (tx) => {
    await appendAudit(tx, entry(member, { action: 'created', details: { pds_handle: 'alice.pnptv.app' } }));
    await appendAudit(tx, entry(member, { details: { n: 2 }, errorMessage: 'slow', errorCode: 'SLOW' }));
    await appendAudit(tx, entry(member, { createdBy: member.userId, details: { n: 3 } }));
    await appendAudit(tx, entry(member, { status: 'failed', errorMessage: 'down' }));
    await appendAudit(tx, entry(other));
  });
});
afterAll(async () => {
  await superuser.end();
  await database.drop();
});

/** Whoever owns the server can switch every guard off. The change is undone afterwards. */
async function afterTampering(statement: string) {
  let verdict: unknown;
  const undo = new Error('undo');
  await superuser
    .begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx.unsafe('ALTER TABLE pds_provisioning_log DISABLE TRIGGER ALL');
      await tx.unsafe('ALTER TABLE pds_erasure_keys DISABLE TRIGGER ALL');
      const { count } = await tx.unsafe(statement.replaceAll(':member', `'${member.pnptvUuid}'`));
      expect(count).toBeGreaterThan(0);
      verdict = await verifyMember(tx, member.pnptvUuid);
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  return verdict;
}

describe('the verifier', () => {
  it('accepts the chain as it is', async () => {
    expect(await verifyMember(superuser, member.pnptvUuid)).toMatchObject({ intact: true, rows: 4 });
  });

  const tampering: Record<string, [value: string, fault: string]> = {
    id: ['999', 'row'],
    seq: ['30', 'missing'],
    user_id: ["'5000000000'", 'user_id'],
    pnptv_uuid: ['gen_random_uuid()', 'missing'],
    action: ["'revoked'", 'row'],
    status: ["'failed'", 'row'],
    details: [`'{"n": 4}'`, 'details'],
    error_code: ["'OTHER'", 'row'],
    error_message: ["'other'", 'error_message'],
    created_by: ["'5000000000'", 'row'],
    created_at: ["created_at + interval '1 microsecond'", 'row'],
    prev_hash: ["sha256('x')", 'prev_hash'],
    row_hash: ["sha256('x')", 'row'],
    user_id_commitment: ["sha256('x')", 'row'],
    details_commitment: ["sha256('x')", 'row'],
    error_message_commitment: ["sha256('x')", 'row'],
  };

  it('is tested against a change of every column there is', async () => {
    const columns = await superuser<{ name: string }[]>`
      SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'pds_provisioning_log'`;
    expect(Object.keys(tampering).sort()).toEqual(columns.map(({ name }) => name).sort());
  });

  it.each(Object.entries(tampering))('names the row whose %s was changed', async (column, [value, fault]) => {
    const statement = `UPDATE pds_provisioning_log SET ${column} = ${value} WHERE pnptv_uuid = :member AND seq = 2`;
    expect(await afterTampering(statement)).toMatchObject({ intact: false, seq: 2, fault });
  });

  it.each([
    [
      'emptied as if by erasure',
      'UPDATE pds_provisioning_log SET user_id = NULL, details = NULL WHERE pnptv_uuid = :member AND seq = 3',
      3,
    ],
    [
      'given an author of null',
      'UPDATE pds_provisioning_log SET created_by = NULL WHERE pnptv_uuid = :member AND seq = 3',
      3,
    ],
    ['deleted', 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq = 2', 2],
    ['deleted from the front', 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq <= 2', 1],
    ['left without its key', 'DELETE FROM pds_erasure_keys WHERE pnptv_uuid = :member', 1],
    [
      'given the details of another, with their commitment',
      `UPDATE pds_provisioning_log AS log SET details = o.details, details_commitment = o.details_commitment
       FROM pds_provisioning_log AS o
       WHERE log.pnptv_uuid = :member AND log.seq = 2 AND o.pnptv_uuid = :member AND o.seq = 3`,
      2,
    ],
  ])('names the row that was %s', async (_, statement, seq) => {
    expect(await afterTampering(statement)).toMatchObject({ intact: false, seq });
  });
});
