import { appendAudit } from '../../../lib/audit/append.ts';
import type { Sql, Transaction } from '../../../lib/db/connect.ts';
import { entry, type LoggedMember, newMember } from './harness.ts';

/** What was done to the log, in SQL where `:member` is the victim; the first row that it breaks, and how. */
export type Tampering = { what: string; statement: string; seq: number; fault?: string };

/** A change of the second row, by its column. */
export const CHANGED_COLUMNS: Record<string, [value: string, fault: string]> = {
  id: ['999', 'row'],
  seq: ['30', 'missing'],
  user_id: ["'5000000000'", 'user_id'],
  pnptv_uuid: ["'ffffffff-ffff-4fff-bfff-ffffffffffff'", 'missing'],
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

export const TAMPERINGS: readonly Tampering[] = [
  ...Object.entries(CHANGED_COLUMNS).map(([column, [value, fault]]) => ({
    what: `changed in ${column}`,
    statement: `UPDATE pds_provisioning_log SET ${column} = ${value} WHERE pnptv_uuid = :member AND seq = 2`,
    seq: 2,
    fault,
  })),
  {
    what: 'emptied as if by erasure',
    statement:
      'UPDATE pds_provisioning_log SET user_id = NULL, details = NULL WHERE pnptv_uuid = :member AND seq = 3',
    seq: 3,
  },
  {
    what: 'given an author of null',
    statement: 'UPDATE pds_provisioning_log SET created_by = NULL WHERE pnptv_uuid = :member AND seq = 3',
    seq: 3,
  },
  {
    what: 'deleted',
    statement: 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq = 2',
    seq: 2,
  },
  {
    what: 'deleted from the front',
    statement: 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq <= 2',
    seq: 1,
  },
  {
    what: 'left without its key',
    statement: 'DELETE FROM pds_erasure_keys WHERE pnptv_uuid = :member',
    seq: 1,
  },
  {
    what: 'given the details of another, with their commitment',
    statement: `UPDATE pds_provisioning_log AS log SET details = o.details, details_commitment = o.details_commitment
      FROM pds_provisioning_log AS o
      WHERE log.pnptv_uuid = :member AND log.seq = 2 AND o.pnptv_uuid = :member AND o.seq = 3`,
    seq: 2,
  },
];

/** A member with four entries of different kinds; his chain is the last of the log. */
export async function loggedMember(sql: Sql): Promise<LoggedMember> {
  const member = { ...(await newMember(sql)), pnptvUuid: 'fffffffe-ffff-4fff-bfff-ffffffffffff' };
  await sql.begin(async (tx) => {
    await appendAudit(tx, entry(member, { action: 'created', details: { pds_handle: 'alice.pnptv.app' } }));
    await appendAudit(tx, entry(member, { details: { n: 2 }, errorMessage: 'slow', errorCode: 'SLOW' }));
    await appendAudit(tx, entry(member, { createdBy: member.userId, details: { n: 3 } }));
    await appendAudit(tx, entry(member, { status: 'failed', errorMessage: 'down' }));
  });
  return member;
}

/** Whoever owns the server can switch every guard off. Returns the number of rows changed. */
export async function tamper(tx: Transaction, statement: string, member: LoggedMember): Promise<number> {
  await tx`SET LOCAL session_replication_role = replica`;
  await tx.unsafe('ALTER TABLE pds_provisioning_log DISABLE TRIGGER ALL');
  await tx.unsafe('ALTER TABLE pds_erasure_keys DISABLE TRIGGER ALL');
  const { count } = await tx.unsafe(statement.replaceAll(':member', `'${member.pnptvUuid}'`));
  return count;
}
