import type { Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { chooseDataKey } from '../../vault/choose-data-key.ts';
import { joinSealed } from '../../vault/sealed.ts';
import { sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Member } from '../session/session.ts';
import { factorPlace } from './factor.ts';
import { insistOnFreshLogin } from './fresh-login.ts';
import { invitation, newTotpSecret } from './totp.ts';

type Enrollment = { secret: string; otpauth_uri: string; qr_svg: string };

/**
 * Makes a TOTP secret for a member and stores it, sealed. It opens nothing before its first code is confirmed; until
 * then the next call replaces it. `issuer` is what the app calls us.
 * Throws `LOGIN_NOT_FRESH` (403), and `TOTP_ALREADY_ENROLLED` (409) when one is confirmed.
 */
export async function enrollTotp(
  { sql, vault, issuer, now }: { sql: Sql; vault: Vault; issuer: string; now: Date },
  member: Member,
): Promise<Enrollment> {
  await insistOnFreshLogin(sql, member);
  const secret = newTotpSecret();
  const sealed = await sealSecret(
    vault,
    await dataKeyOf(vault, member.id),
    factorPlace(member.id, now),
    secret,
  );
  const stored = await sql`
    INSERT INTO totp_factors AS f (user_id, secret_sealed, created_at) VALUES (${member.id}, ${joinSealed(sealed)}, ${now})
    ON CONFLICT (user_id) DO UPDATE
      SET id = gen_random_uuid(), secret_sealed = EXCLUDED.secret_sealed, created_at = EXCLUDED.created_at
      WHERE f.confirmed_at IS NULL`;
  if (stored.count === 0) throw apiError('TOTP_ALREADY_ENROLLED');
  const { uri, svg } = invitation(secret, { issuer, account: member.username ?? member.id });
  return { secret, otpauth_uri: uri, qr_svg: svg };
}

/** The data key of everything that is the member's; of one who has none yet, that of newcomers. */
async function dataKeyOf(vault: Vault, userId: string): Promise<string> {
  const [identity] = await vault.sql<{ data_key_id: string | null }[]>`
    SELECT data_key_id FROM user_pds_mapping WHERE user_id = ${userId}`;
  return identity?.data_key_id ?? chooseDataKey(vault);
}
