import { appendAudit } from '../audit/append.ts';
import type { Sql, Transaction } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import { enqueue, type QueueId } from '../provisioning/queue/queue.ts';
import { findIdentity, type IdentityInfo } from './info.ts';

type Wish = { userId: string; requestedBy: string };
type Granted = { identity: IdentityInfo; queued: QueueId | undefined };

/** {@link requestProvisioningIn} a transaction of its own. */
export function requestProvisioning(
  { sql, provisioningEnabled }: { sql: Sql; provisioningEnabled: boolean },
  wish: Wish,
): Promise<Granted> {
  return sql.begin((tx) => requestProvisioningIn(tx, { provisioningEnabled }, wish));
}

/**
 * Sets the making of a member's identity going once more, with fresh attempts and the same secrets, and writes down
 * who wanted it. An identity that is active or revoked stays as it is. Does not wait: `queued` is for the worker, after
 * the caller's commit. Throws `MEMBER_NOT_FOUND` (404).
 */
export async function requestProvisioningIn(
  tx: Transaction,
  { provisioningEnabled }: { provisioningEnabled: boolean },
  { userId, requestedBy }: Wish,
): Promise<Granted> {
  const [member] = await tx<{ status: string | null }[]>`
    SELECT m.status FROM users u LEFT JOIN user_pds_mapping m ON m.user_id = u.id WHERE u.id = ${userId}`;
  if (member === undefined) throw apiError('MEMBER_NOT_FOUND');
  const settled = member.status === 'active' || member.status === 'revoked';
  const work = settled ? undefined : await enqueue(tx, { userId, action: 'retry', by: requestedBy });
  const identity = await findIdentity({ sql: tx, provisioningEnabled }, userId);
  if (work) {
    await appendAudit(tx, {
      userId,
      pnptvUuid: identity.pnptv_uuid,
      action: 'retry',
      status: 'pending',
      details: { queue_id: work.queueId, provisioning_step: identity.provisioning_step },
      createdBy: requestedBy,
    });
  }
  return { identity, queued: work?.created ? work.queueId : undefined };
}
