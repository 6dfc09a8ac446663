import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Notice } from '../changes/notice.ts';
import { requestChange } from '../changes/request.ts';
import { type Answered, answerOf, type Join, lockJoin, logJoin, tellBoth } from './join.ts';

export type AgreeDeps = { sql: Sql; notice: Notice; now: () => Date };

/**
 * One of the two accounts agrees, with its second factor. Agreed to twice is agreed to once. Throws what `lockJoin`
 * throws, `STEP_UP_REQUIRED`, and what {@link settleAgreement} throws.
 */
export function consentToJoin(
  deps: AgreeDeps,
  { joinId, userId, stepUp }: { joinId: number; userId: string; stepUp: StepUpNeed },
): Promise<Answered> {
  return deps.sql.begin(async (tx) => {
    const join = await lockJoin(tx, joinId, userId);
    await useStepUp(tx, stepUp);
    const column = userId === join.to_user_id ? 'accepted_at' : 'consented_at';
    if (join[column] === null) {
      join[column] = deps.now();
      await tx`UPDATE pds_joins SET ${tx(join, column)} WHERE id = ${joinId}`;
      await logJoin(tx, join, { happened: column, status: 'pending', createdBy: userId });
    }
    return settleAgreement(tx, deps, join);
  });
}

/**
 * A second administrator stands in for the old account. Throws what `lockJoin` and {@link settleAgreement} throw, and
 * `SECOND_ADMIN_REQUIRED` (403) for who asked for it, or takes part in it; for everybody, where who asked takes part: he
 * counts for none of the two.
 */
export function approveJoin(
  deps: AgreeDeps,
  { joinId, by }: { joinId: number; by: string },
): Promise<Answered> {
  return deps.sql.begin(async (tx) => {
    const join = await lockJoin(tx, joinId);
    const accounts = [join.from_user_id, join.to_user_id];
    if (by === join.requested_by || accounts.includes(by) || accounts.includes(join.requested_by)) {
      throw apiError('SECOND_ADMIN_REQUIRED');
    }
    if (join.approved_by === null) {
      Object.assign(join, { approved_by: by, approved_at: deps.now() });
      await tx`UPDATE pds_joins SET ${tx(join, 'approved_by', 'approved_at')} WHERE id = ${joinId}`;
      await logJoin(tx, join, { happened: 'approved_at', status: 'pending', createdBy: by });
    }
    return settleAgreement(tx, deps, join);
  });
}

/**
 * Once all have agreed, both identities have a change that nothing else can be done beside, and both accounts are told
 * when it happens. Throws `CHANGE_IN_PROGRESS` (409) while one of them has another one, and `IDENTITY_NOT_READY` (409)
 * when there is nothing (any more) that could go; then nobody has agreed just now, either.
 */
async function settleAgreement(tx: Transaction, { notice, now }: AgreeDeps, join: Join): Promise<Answered> {
  const isAgreed = join.accepted_at !== null && (join.consented_at !== null || join.approved_by !== null);
  if (!isAgreed || join.change_id !== null) return answerOf(join);
  const seconds = join.consented_at === null ? notice.approvedJoin : notice.consentedJoin;
  const at = now();
  const { changeId, dueAt } = await requestChange(tx, {
    userId: join.from_user_id,
    kind: 'join',
    wish: { join_id: join.id, side: 'from' },
    by: join.requested_by,
    of: ['active', 'revoked'],
    dueAt: new Date(at.getTime() + seconds * 1000),
    now: at,
  });
  await bindOther(tx, join, dueAt);
  await tx`UPDATE pds_joins SET change_id = ${changeId} WHERE id = ${join.id}`;
  const agreed = { ...join, change_id: changeId, due_at: dueAt };
  await logJoin(tx, join, { happened: 'agreed', status: 'pending' });
  await tellBoth(tx, join, 'join_due', dueAt);
  return answerOf(agreed);
}

/** The other identity's change has no work of its own: it keeps others away, whatever state that identity is in. */
async function bindOther(tx: Transaction, join: Join, dueAt: Date): Promise<void> {
  const bound = await tx`
    INSERT INTO pds_changes (user_id, pnptv_uuid, kind, wish, requested_by, due_at)
    SELECT user_id, pnptv_uuid, 'join', ${tx.json({ join_id: join.id, side: 'to' })}, ${join.requested_by}, ${dueAt}
    FROM user_pds_mapping WHERE user_id = ${join.to_user_id}
    ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING`;
  if (bound.count === 0) throw apiError('CHANGE_IN_PROGRESS');
}
