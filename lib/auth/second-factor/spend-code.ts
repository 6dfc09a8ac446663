import type { Transaction } from '../../db/connect.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Factor, openTotpSecret } from './factor.ts';
import { findHash, hashRecoveryCode } from './recovery-codes.ts';
import { acceptedStep } from './totp.ts';

/** What a code is that fits: the time step of an app's code, or the stored hash of a recovery code. */
export type FittingCode = { step: number } | { recoveryHash: Uint8Array };

/** What a code is to a member's factor; undefined when it fits nothing. May ask KMS: before the transaction. */
export async function recogniseCode(
  { vault, now }: { vault: Vault; now: Date },
  factor: Factor,
  code: string,
): Promise<FittingCode | undefined> {
  const digits = code.replace(/[ -]/g, '');
  if (/^\d{6}$/.test(digits)) {
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
          UPDATE totp_factors SET last_time_step = ${code.step}
          WHERE id = ${id} AND coalesce(last_time_step < ${code.step}, true)`
      : await tx`
          UPDATE totp_factors SET recovery_code_hashes = array_remove(recovery_code_hashes, ${code.recoveryHash}::bytea)
          WHERE id = ${id} AND ${code.recoveryHash}::bytea = ANY (recovery_code_hashes)`;
  return spent.count > 0;
}
