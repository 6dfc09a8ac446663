import { appendAudit } from '../../audit/append.ts';
import type { Sql } from '../../db/connect.ts';
import { forgetSettledOrphans } from '../../provisioning/orphans/rows.ts';
import { GRACE_DAYS } from './times.ts';

type Gone = { user_id: string; pnptv_uuid: string };

/**
 * Destroys what we still hold of one member who has left {@link GRACE_DAYS} ago: his keys and passwords, also of accounts
 * that he had before, and every backup of them. Of a did:plc our rotation key stays as long as it may be needed for him: when a key of his own stands above it,
 * he needs us no more, but only the directory knows, so it stays until he is deleted. Nobody who is being changed, or whom
 * a worker has. Returns how many: 1, or 0 when none is left.
 */
export async function destroySecretsOfWhoLeft(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    const [gone] = await tx<Gone[]>`
      UPDATE user_pds_mapping SET
        pds_private_key_encrypted = NULL, pds_private_key_iv = NULL, pds_private_key_auth_tag = NULL,
        account_password_sealed = NULL, data_key_id = CASE WHEN rotation_key_sealed IS NOT NULL THEN data_key_id END
      WHERE id = (
        SELECT m.id FROM user_pds_mapping m
        WHERE m.left_at < now() - make_interval(days => ${GRACE_DAYS}) AND m.pds_private_key_encrypted IS NOT NULL
          AND (m.lease_until IS NULL OR m.lease_until <= now())
          AND NOT EXISTS (SELECT FROM pds_changes c WHERE c.user_id = m.user_id AND c.ended_at IS NULL)
        ORDER BY m.left_at LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING user_id, pnptv_uuid`;
    if (gone === undefined) return 0;
    await forgetSettledOrphans(tx, gone.user_id);
    const backups = await tx`DELETE FROM pds_credential_backups WHERE user_id = ${gone.user_id}`;
    await appendAudit(tx, {
      userId: gone.user_id,
      pnptvUuid: gone.pnptv_uuid,
      action: 'revoked',
      status: 'success',
      details: { secrets_destroyed: true, backups: backups.count },
    });
    return 1;
  });
}
