import { type AuditAction, appendAudit } from '../../audit/append.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { documentedCode } from '../../http/answer.ts';
import { apiError } from '../../http/error-codes.ts';
import type { SessionOwner } from '../custody/in-session.ts';

/** The member whose app passwords these are. */
export type Owner = SessionOwner & { pnptv_uuid: string };

/** Throws `IDENTITY_NOT_READY` (409) unless his identity is in one of these states and has an account. */
export async function readOwner(
  sql: Queryable,
  userId: string,
  states: readonly ('active' | 'revoked')[],
): Promise<Owner> {
  const [owner] = await sql<Owner[]>`
    SELECT user_id, pnptv_uuid, pds_did, provider_id, account_password_sealed, credential_version
    FROM user_pds_mapping
    WHERE user_id = ${userId} AND status IN ${sql(states)} AND account_password_sealed IS NOT NULL`;
  if (owner === undefined) throw apiError('IDENTITY_NOT_READY');
  return owner;
}

/** What is done to an app password stands in its owner's log by its name, as an intention and as what became of it. */
export function noteOn(
  { user_id: userId, pnptv_uuid: pnptvUuid }: Owner,
  action: Extract<AuditAction, `app_password_${string}`>,
  details: { name: string; privileged?: boolean },
) {
  const entry = { userId, pnptvUuid, action, details, createdBy: userId };
  return {
    pending: (tx: Transaction) => appendAudit(tx, { ...entry, status: 'pending' }),
    success: (tx: Transaction) => appendAudit(tx, { ...entry, status: 'success' }),
    failed: (tx: Transaction, error: unknown) =>
      appendAudit(tx, { ...entry, status: 'failed', errorCode: documentedCode(error) }),
  };
}
