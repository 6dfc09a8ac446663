import { appendAudit } from '../../audit/append.ts';
import type { Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';

type Removal = {
  userId: string;
  /** The member himself, or 'operator'. */
  by: string;
  details?: Record<string, unknown>;
};

/**
 * Removes a member's second factor with all that was confirmed by it and not used yet, and says so in the audit log: part
 * of the caller's transaction. Throws `TOTP_NOT_ENROLLED` (409) when there is none.
 */
export async function removeFactor(tx: Transaction, { userId, by, details }: Removal): Promise<void> {
  const [removed] = await tx<{ pnptv_uuid: string }[]>`
    DELETE FROM totp_factors f USING user_pds_mapping m
    WHERE f.user_id = ${userId} AND f.confirmed_at IS NOT NULL AND m.user_id = f.user_id
    RETURNING m.pnptv_uuid`;
  if (removed === undefined) throw apiError('TOTP_NOT_ENROLLED');
  await tx`
    UPDATE step_ups SET used_at = now() WHERE used_at IS NULL AND session_id IN (
      SELECT id FROM sessions WHERE user_id = ${userId} AND revoked_at IS NULL)`;
  await appendAudit(tx, {
    userId,
    pnptvUuid: removed.pnptv_uuid,
    action: 'second_factor_removed',
    status: 'success',
    ...(details && { details }),
    createdBy: by,
  });
}
