import type { Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Factor, openTotpSecret } from './factor.ts';
import { findHash, hashRecoveryCode } from './recovery-codes.ts';
import { acceptedStep } from './totp.ts';

/** What a code is that fits: the time step of an app's code, or the stored hash of a recovery code. */
export type FittingCode = { step: number } | { recoveryHash: Uint8Array };

/**
 * So many wrong codes in a row, and codes of the app are not taken any more: a stolen session could otherwise go on
 * guessing for as long as it lives. NIST SP 800-63B-4, 3.2.2. Recovery codes cannot be guessed.
 */
export const MOST_WRONG_CODES = 100;

/**
 * What a code is to a member's factor; undefined when it fits nothing. May ask KMS: before the transaction. Throws
 * `TOTP_LOCKED` (403) for a code of the app after {@link MOST_WRONG_CODES} wrong ones.
 */
export async function recogniseCode(
  { vault, now }: { vault: Vault; now: Date },
  factor: Factor,
  code: string,
): Promise<FittingCode | undefined> {
  const digits = code.replace(/[ -]/g, '');
  if (/^\d{6}$/.test(digits)) {
    if (factor.wrong_codes >= MOST_WRONG_CODES) throw apiError('TOTP_LOCKED');
    const secret = await openTotpSecret(vault, factor);
    const step = acceptedStep(secret, digits, { now, after: factor.last_time_step });
    return step === undefined ? undefined : { step };
  }
  const hash = hashRecoveryCode(factor.user_id, code);
  const recoveryHash = hash && findHash(factor.recovery_code_hashes, hash);
  return recoveryHash && { recoveryHash };
}

/**
 * Uses a code up, as part of the caller's transaction. False when it was used since it was recognised, by a request that
 * came at the same time: the row's lock lets one be first, and the others see what it did.
 */
export async function spendCode(tx: Transaction, { id }: Factor, code: FittingCode): Promise<boolean> {
  const spent =
    'step' in code
      ? await tx`
          UPDATE totp_factors SET wrong_codes = 0, last_time_step = ${code.step}
          WHERE id = ${id} AND coalesce(last_time_step < ${code.step}, true)`
      : await tx`
          UPDATE totp_factors SET wrong_codes = 0,
            recovery_code_hashes = array_remove(recovery_code_hashes, ${code.recoveryHash}::bytea)
          WHERE id = ${id} AND ${code.recoveryHash}::bytea = ANY (recovery_code_hashes)`;
  return spent.count > 0;
}

/** Counts a code that fits nothing, as part of the caller's transaction. */
export async function countWrongCode(tx: Transaction, { id }: Factor): Promise<void> {
  await tx`UPDATE totp_factors SET wrong_codes = wrong_codes + 1 WHERE id = ${id}`;
}
