import { appendAudit } from '../../audit/append.ts';
import type { Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Member } from '../session/session.ts';
import { openTotpSecret, readFactor } from './factor.ts';
import { insistOnFreshLogin } from './fresh-login.ts';
import { newRecoveryCodes } from './recovery-codes.ts';
import { acceptedStep } from './totp.ts';

/**
 * Confirms a member's TOTP by its first code, which is used up by it, and returns his recovery codes: only their hashes
 * are stored. In one transaction with its entry in the audit log. Throws `LOGIN_NOT_FRESH`, `CODE_INVALID` (both 403),
 * `TOTP_NOT_ENROLLED` and `TOTP_ALREADY_ENROLLED` (both 409).
 */
export async function confirmTotp(
  { sql, vault, now }: { sql: Sql; vault: Vault; now: Date },
  member: Member,
  code: string,
): Promise<string[]> {
  await insistOnFreshLogin(sql, member);
  const factor = await readFactor(sql, member.id);
  if (factor.confirmed_at) throw apiError('TOTP_ALREADY_ENROLLED');
  const secret = await openTotpSecret(vault, factor);
  const step = acceptedStep(secret, code.replace(' ', ''), { now, after: null });
  if (step === undefined) throw apiError('CODE_INVALID');
  const { codes, hashes } = newRecoveryCodes(member.id);
  await sql.begin(async (tx) => {
    const confirmed = await tx`
      UPDATE totp_factors SET confirmed_at = now(), last_time_step = ${step}, recovery_code_hashes = ${tx.array(hashes)}
      WHERE id = ${factor.id} AND confirmed_at IS NULL`;
    // Another request has used this code, or has replaced the secret, since we looked.
    if (confirmed.count === 0) throw apiError('CODE_INVALID');
    await appendAudit(tx, {
      userId: member.id,
      pnptvUuid: factor.pnptv_uuid,
      action: 'second_factor_enrolled',
      status: 'success',
      details: { session_id: member.session_id },
      createdBy: member.id,
    });
  });
  return codes;
}
