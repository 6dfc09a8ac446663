import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { splitSealed } from '../../lib/vault/sealed.ts';
import { openSecret } from '../../lib/vault/secrets.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import type { Credentials } from './prove-identity.ts';

/** Opens what is sealed for these members, as an operator with the worker's database role and the KMS key can. */
export async function openCredentials(
  source: { databaseUrl: string; settings: Readonly<Record<string, string>> },
  dids: readonly string[],
): Promise<Map<string, Credentials>> {
  const sql = connect(source.databaseUrl);
  try {
    const vault = await openVault(await readSettings(VAULT_SETTINGS, source.settings), sql);
    const rows = await sql`
      SELECT user_id, pds_did, pds_public_key, credential_version,
             rotation_key_sealed, pds_access_token, pds_refresh_token, account_password_sealed
      FROM user_pds_mapping WHERE pds_did = ANY(${dids as string[]})`;
    const opened = rows.map(async (row): Promise<[string, Credentials]> => {
      const open = async (column: string) => {
        const place = {
          table: 'user_pds_mapping',
          column,
          userId: row.user_id,
          version: row.credential_version,
        };
        return openSecret(vault, place, splitSealed(row[column]));
      };
      const openText = async (column: string) => Buffer.from(await open(column)).toString();
      const [accessJwt, refreshJwt, password] = await Promise.all(
        ['pds_access_token', 'pds_refresh_token', 'account_password_sealed'].map(openText),
      );
      if (!accessJwt || !refreshJwt || !password) throw new Error('a sealed credential is empty');
      const rotationKey = row.rotation_key_sealed ? await open('rotation_key_sealed') : undefined;
      const { pds_public_key: memberPublicKey } = row;
      return [row.pds_did, { accessJwt, refreshJwt, password, memberPublicKey, rotationKey }];
    });
    return new Map(await Promise.all(opened));
  } finally {
    await sql.end();
  }
}
