import type * as z from 'zod/mini';
import { appendAudit } from '../../audit/append.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { disableTotp as contract } from '../api/second-factor.ts';
import { type StepUpNeed, useStepUp } from '../step-up.ts';
import { newRecoveryCodes } from './recovery-codes.ts';
import { removeFactor } from './remove.ts';

/**
 * Gives a member ten new recovery codes in the place of those that are left, and says so in the audit log. Throws
 * `STEP_UP_REQUIRED` (403), then `TOTP_NOT_ENROLLED` (409).
 */
export function renewRecoveryCodes({ sql }: { sql: Sql }, need: StepUpNeed): Promise<string[]> {
  const { userId, sessionId } = need;
  return sql.begin(async (tx) => {
    await lockFactor(tx, userId);
    await useStepUp(tx, need);
    const { codes, hashes } = newRecoveryCodes(userId);
    const [renewed] = await tx<{ pnptv_uuid: string }[]>`
      UPDATE totp_factors f SET recovery_code_hashes = ${tx.array(hashes)} FROM user_pds_mapping m
      WHERE f.user_id = ${userId} AND f.confirmed_at IS NOT NULL AND m.user_id = f.user_id
      RETURNING m.pnptv_uuid`;
    if (renewed === undefined) throw apiError('TOTP_NOT_ENROLLED');
    await appendAudit(tx, {
      userId,
      pnptvUuid: renewed.pnptv_uuid,
      action: 'recovery_codes_renewed',
      status: 'success',
      details: { session_id: sessionId },
      createdBy: userId,
    });
    return codes;
  });
}

/** Removes a member's second factor, as he wishes. Throws `STEP_UP_REQUIRED` (403), then `TOTP_NOT_ENROLLED` (409). */
export async function disableTotp(
  { sql }: { sql: Sql },
  need: StepUpNeed,
): Promise<z.output<typeof contract.data>> {
  const { userId, sessionId } = need;
  await sql.begin(async (tx) => {
    await lockFactor(tx, userId);
    await useStepUp(tx, need);
    await removeFactor(tx, { userId, by: userId, details: { session_id: sessionId } });
  });
  return { enrolled: false, recovery_codes_left: 0 };
}

/**
 * Whoever changes the factor waits here for whoever spends a code of it or changes it too, before either holds a
 * step-up that the other would wait for.
 */
async function lockFactor(tx: Transaction, userId: string): Promise<void> {
  await tx`SELECT FROM totp_factors WHERE user_id = ${userId} FOR UPDATE`;
}
