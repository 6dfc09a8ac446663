import type { Transaction } from '../db/connect.ts';
import { appendAudit } from './append.ts';

/**
 * Erases a member from the log, as part of the caller's transaction: writes the entry `erased`, destroys his key
 * and empties user id, details and error message of all his rows. What stays (action, time, outcome, who did it)
 * verifies as before and does not name him. Returns the number of rows emptied. Nothing can be logged about him after it.
 * Only the worker's role may. Backups of the database hold the erased data until they expire.
 */
export async function eraseMember(
  tx: Transaction,
  member: { userId: string; pnptvUuid: string; createdBy: string },
): Promise<number> {
  await appendAudit(tx, { ...member, action: 'erased', status: 'success' });
  const [result] = await tx<[{ rows: number }]>`SELECT erase_member(${member.pnptvUuid}) AS rows`;
  return result.rows;
}
