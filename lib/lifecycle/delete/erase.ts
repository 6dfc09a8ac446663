import { eraseMember } from '../../audit/erase.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import type { Run } from '../../provisioning/run.ts';
import type { Change } from '../changes/change.ts';

/**
 * Erases a member whose accounts have ended, in one transaction: his log is emptied, and everything else of him that
 * `erase_identity` (migrations/026_ending.sql) says is gone, this change and its work included. What lies in the bucket of his exports leaves a note
 * (migrations/029_exports.sql) by which the clean-up finds it, within the hour. Whoever comes with the same Telegram
 * account afterwards is a stranger. Throws LeaseLost when another worker has the member.
 */
export async function erase(run: Run, change: Change): Promise<void> {
  const { sql, identity } = run;
  const { user_id: userId, pnptv_uuid: pnptvUuid, epoch } = identity;
  await sql.begin(async (tx) => {
    // The queue rows before the member, as everywhere. A login that comes now waits for the end, and is a stranger's.
    await tx`SELECT FROM pds_provisioning_queue WHERE user_id = ${userId} ORDER BY id FOR UPDATE`;
    await updateIdentity(tx, identity, { lease_until: null });
    const former = await tx<{ user_id: string }[]>`
      SELECT DISTINCT user_id FROM pds_provisioning_log WHERE pnptv_uuid = ${pnptvUuid} AND user_id IS NOT NULL`;
    // What the bot told him while he was a stranger, too: a private chat has the id of its person.
    await tx`DELETE FROM telegram_messages WHERE user_id IS NULL AND chat_id::text = ${userId}`;
    await eraseMember(tx, { userId, pnptvUuid, createdBy: change.requested_by });
    await tx`SELECT erase_identity(${userId}, ${epoch}, ${former.map(({ user_id }) => user_id)})`;
  });
  change.outcome = 'done';
}
