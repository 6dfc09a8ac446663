import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { type IdentityChange, LeaseLost, updateIdentity } from '../../provisioning/identity.ts';
import { completeRow } from '../../provisioning/queue/settle.ts';
import type { Run } from '../../provisioning/run.ts';
import { authorOf, type Change, type Facts } from './change.ts';

export type Progress = {
  step?: string;
  progress?: Facts;
  sealed?: Readonly<Record<string, string>>;
  data_key_id?: string;
};

/**
 * Stores how far a change is, in the database and in `change`, as long as this worker holds the member: before the next
 * step begins. What `progress` and `sealed` name is added to what is there. Throws LeaseLost, with nothing stored, when
 * another worker has the member, or the change is over.
 */
export async function advance(
  sql: Queryable,
  { identity }: Pick<Run, 'identity'>,
  change: Change,
  { step, progress = {}, sealed = {}, data_key_id }: Progress,
): Promise<void> {
  const [stored] = await sql<Pick<Change, 'step' | 'progress' | 'sealed' | 'data_key_id'>[]>`
    UPDATE pds_changes c SET
      step = ${step ?? change.step},
      progress = c.progress || ${sql.json(progress)},
      sealed = c.sealed || ${sql.json(sealed)},
      data_key_id = ${data_key_id ?? change.data_key_id}
    WHERE c.id = ${change.id} AND c.ended_at IS NULL AND ${isHeld(sql, identity)}
    RETURNING step, progress, sealed, data_key_id`;
  if (stored === undefined) throw new LeaseLost();
  Object.assign(change, stored);
}

function isHeld(sql: Queryable, { user_id, epoch }: Run['identity']) {
  return sql`EXISTS (SELECT FROM user_pds_mapping m WHERE m.user_id = ${user_id} AND m.epoch = ${epoch})`;
}

export type End = (
  | { outcome: 'done' | 'cancelled' }
  /** It cannot be done, and everything is as it was before. `message` is for the member: what happened and what to do. */
  | { outcome: 'failed'; code: string; message: string }
) & {
  /** What becomes of the mapping row with it. */
  identity?: IdentityChange;
};

/**
 * Ends a change and its work in the caller's transaction, which also makes what it was for true, and frees the member.
 * Its secrets go: by now they are where they belong, or of no use. `audit` is written as by whoever asked for it. Throws LeaseLost when another worker has the member.
 */
export async function endChange(
  tx: Transaction,
  { work, identity }: Pick<Run, 'work' | 'identity'>,
  change: Change,
  end: End,
  audit?: Pick<AuditEntry, 'action' | 'details'>,
): Promise<void> {
  await completeRow(tx, work);
  await updateIdentity(tx, identity, { ...end.identity, lease_until: null });
  const failure = end.outcome === 'failed' ? end : undefined;
  const ended = await tx`
    UPDATE pds_changes SET ended_at = now(), outcome = ${end.outcome}, sealed = '{}',
      error_code = ${failure?.code ?? null}, error_message = ${failure?.message ?? null}
    WHERE id = ${change.id} AND ended_at IS NULL`;
  if (ended.count === 0) throw new LeaseLost();
  change.outcome = end.outcome;
  if (!audit) return;
  const { createdBy, ...how } = authorOf(change.requested_by, identity.user_id);
  await appendAudit(tx, {
    userId: identity.user_id,
    pnptvUuid: identity.pnptv_uuid,
    action: audit.action,
    status: end.outcome === 'done' ? 'success' : 'failed',
    details: { change_id: change.id, outcome: end.outcome, ...audit.details, ...how },
    createdBy,
    ...(failure && { errorCode: failure.code, errorMessage: failure.message }),
  });
}
