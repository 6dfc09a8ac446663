import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { splitSealed } from '../../vault/sealed.ts';
import { openSecret, type SecretPlace } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Me } from '../session/session.ts';

/** A member's TOTP as it is stored. */
export type Factor = {
  id: string;
  user_id: string;
  /** Of his identity: under it his log is kept. */
  pnptv_uuid: string;
  secret_sealed: string;
  /** The newest time step that was accepted. */
  last_time_step: number | null;
  recovery_code_hashes: Uint8Array[];
  /** In a row, since the last one that was right. */
  wrong_codes: number;
  /** Null until the first code has shown that his app has the secret: until then it opens nothing. */
  confirmed_at: Date | null;
  created_at: Date;
};
export type FactorStatus = { enrolled: boolean; recovery_codes_left: number };

/** Whether whoever is logged in has a second factor: one statement. */
export async function readFactorStatus(me: Me): Promise<FactorStatus> {
  const [factor] = await me<{ codes: number }>`
    SELECT cardinality(recovery_code_hashes) AS codes
    FROM totp_factors WHERE user_id = me.id AND confirmed_at IS NOT NULL`;
  return { enrolled: factor !== undefined, recovery_codes_left: factor?.codes ?? 0 };
}

/** The member's TOTP, confirmed or not. Throws `TOTP_NOT_ENROLLED` (409) when there is none. */
export async function readFactor(sql: Queryable, userId: string): Promise<Factor> {
  const [factor] = await sql<Factor[]>`
    SELECT f.*, m.pnptv_uuid FROM totp_factors f JOIN user_pds_mapping m USING (user_id)
    WHERE f.user_id = ${userId}`;
  if (factor === undefined) throw apiError('TOTP_NOT_ENROLLED');
  return factor;
}

/**
 * Where a secret is sealed for. Its version is when it was made, in milliseconds: put back after another has replaced
 * it, it does not open.
 */
export function factorPlace(userId: string, createdAt: Date): SecretPlace {
  return { table: 'totp_factors', column: 'secret_sealed', userId, version: createdAt.getTime() };
}

/** The secret in base32. May read a data key and ask KMS: never in a transaction. */
export async function openTotpSecret(vault: Vault, factor: Factor): Promise<string> {
  const place = factorPlace(factor.user_id, factor.created_at);
  return Buffer.from(await openSecret(vault, place, splitSealed(factor.secret_sealed))).toString('utf8');
}
