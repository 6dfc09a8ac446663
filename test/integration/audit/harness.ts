import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '../../../lib/audit/append.ts';
import type { Sql } from '../../../lib/db/connect.ts';

export type LoggedMember = { userId: string; pnptvUuid: string };

let lastTelegramId = 5_000_000_000;

/** A member with nothing but a row in `users`: all that the log asks for. */
export async function newMember(sql: Sql): Promise<LoggedMember> {
  lastTelegramId += 1;
  const userId = String(lastTelegramId);
  await sql`INSERT INTO users (id, username) VALUES (${userId}, 'alice')`;
  return { userId, pnptvUuid: randomUUID() };
}

export function entry(member: LoggedMember, more: Partial<AuditEntry> = {}): AuditEntry {
  return { ...member, action: 'verified', status: 'success', ...more };
}

/** All entries that still name the member, oldest first. */
export function readEntries(sql: Sql, { userId }: LoggedMember) {
  return sql`
    SELECT action, status, details, error_code, error_message, created_by FROM pds_provisioning_log
    WHERE user_id = ${userId} ORDER BY seq`;
}
