import { appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { showHandle } from '../../pds/info.ts';
import type { Notice } from '../changes/notice.ts';
import { requestChange } from '../changes/request.ts';

export type Deletion = {
  changeId: number;
  dueAt: Date;
  /** What the PDS lets us do with his account: `none` when he never got one. */
  account: 'deleted' | 'deactivated' | 'none';
};

type Member = { pnptv_uuid: string; pds_handle: string | null; provisioning_step: string; deletes: boolean };

/**
 * Writes down that a member's identity is to be deleted for good, whatever state it is in, once `notice` is over, and
 * tells him. Asked for again it is the same deletion. Throws `IDENTITY_NOT_FOUND` (404), `STEP_UP_REQUIRED` (403), and
 * `CHANGE_IN_PROGRESS` (409) while he has another change.
 */
export function requestDeletion(
  { sql, notice, now }: { sql: Sql; notice: Notice; now: () => Date },
  { userId, stepUp }: { userId: string; stepUp: StepUpNeed },
): Promise<Deletion> {
  return sql.begin(async (tx) => {
    await useStepUp(tx, stepUp);
    const member = await readMember(tx, userId);
    const at = now();
    const { changeId, dueAt, isNew } = await requestChange(tx, {
      userId,
      kind: 'delete',
      by: userId,
      of: ['active', 'revoked', 'error', 'pending'],
      dueAt: new Date(at.getTime() + notice.deletion * 1000),
      now: at,
    });
    if (isNew) {
      await sayTo(tx, userId, {
        kind: 'deletion',
        details: { pds_handle: showHandle(member.pds_handle), due_at: dueAt.toISOString() },
      });
      await appendAudit(tx, {
        userId,
        pnptvUuid: member.pnptv_uuid,
        action: 'updated',
        status: 'pending',
        details: { change: 'delete', change_id: changeId, due_at: dueAt },
        createdBy: userId,
      });
    }
    return { changeId, dueAt, account: accountEnd(member) };
  });
}

async function readMember(sql: Queryable, userId: string): Promise<Member> {
  const [member] = await sql<Member[]>`
    SELECT m.pnptv_uuid, m.pds_handle, m.provisioning_step, coalesce('delete' = ANY(p.capabilities), false) AS deletes
    FROM user_pds_mapping m LEFT JOIN pds_providers p ON p.id = m.provider_id WHERE m.user_id = ${userId}`;
  if (member === undefined) throw apiError('IDENTITY_NOT_FOUND');
  return member;
}

function accountEnd({ provisioning_step: step, deletes }: Member): Deletion['account'] {
  if (step === 'requested' || step === 'reserved') return 'none';
  return deletes ? 'deleted' : 'deactivated';
}
