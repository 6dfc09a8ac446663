import { AppError } from '../../app-error.ts';
import { appendAudit } from '../../audit/append.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { cancelIn } from '../changes/cancel.ts';
import { type Change, readOpenChange } from '../changes/change.ts';
import { isPublished, NO_WAY_HOME, type Step, WANTED_IN_VAIN } from './progress.ts';
import { CALLED_BACK } from './take-back.ts';

/**
 * Has a member who is on his way to another PDS come back, as an operator wishes: also from a new PDS that may have written
 * something of his, and is gone. Should that answer after all, and show that, he goes on to it. Throws `NO_MOVE`,
 * `MOVE_BUSY` while a worker is at it, and `CHANGE_NOT_CANCELLABLE` of who is on his way back already.
 */
export async function callBack(sql: Sql, userId: string): Promise<void> {
  await sql.begin(async (tx) => {
    // The queue row before all else, as everywhere.
    const [work] = await tx<{ busy: boolean }[]>`
      SELECT status = 'processing' AND next_retry > now() AS busy FROM pds_provisioning_queue
      WHERE user_id = ${userId} AND action = 'move' AND status IN ('pending', 'processing') FOR UPDATE`;
    const change = await readOpenChange(tx, userId);
    if (change?.kind !== 'move') {
      throw new AppError('NO_MOVE', `${userId} is not on his way to another PDS.`);
    }
    if (work?.busy) {
      throw new AppError('MOVE_BUSY', 'A worker is at his move at this moment. Try again in a minute.');
    }
    await appendAudit(tx, {
      userId,
      pnptvUuid: change.pnptv_uuid,
      action: 'moved',
      status: 'pending',
      details: { change_id: change.id, step: change.step, called_back: true },
      createdBy: 'operator',
    });
    if (isPublished(change) && change.step !== 'coming_home') await makeRevocable(tx, change);
    await tx`UPDATE pds_changes SET progress = progress || ${tx.json({ [CALLED_BACK]: true })} WHERE id = ${change.id}`;
    await cancelIn(tx, { userId, changeId: change.id, by: 'operator' });
  });
}

/** As if he had not arrived. A worker that has the member, and was only thought dead, stores nothing more. */
async function makeRevocable(tx: Transaction, { id, user_id }: Change): Promise<void> {
  await tx`
    UPDATE pds_changes SET step = ${'published' satisfies Step},
      progress = progress || ${tx.json({ [NO_WAY_HOME]: false, [WANTED_IN_VAIN]: false, stuck_since: null })}
    WHERE id = ${id}`;
  await tx`UPDATE user_pds_mapping SET epoch = epoch + 1 WHERE user_id = ${user_id}`;
}
