import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { splitSealed } from '../../lib/vault/sealed.ts';
import { openSecret } from '../../lib/vault/secrets.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import type { RunningPlatform } from './running-platform.ts';

/** A secret in the clear, by what it is. */
export type Opened = { name: string; bytes: Uint8Array };

const SEALED_COLUMNS = [
  'account_password_sealed',
  'bootstrap_key_sealed',
  'pds_access_token',
  'pds_refresh_token',
  'rotation_key_sealed',
] as const;

/** Opens everything that is sealed for anybody at this moment, and the data keys that it is sealed under. */
export async function openEverySecret({ platform }: RunningPlatform): Promise<Opened[]> {
  const { databaseUrl, settings } = platform.operator;
  const sql = connect(databaseUrl);
  try {
    const vault = await openVault(await readSettings(VAULT_SETTINGS, settings), sql);
    const rows = await sql`SELECT * FROM user_pds_mapping WHERE data_key_id IS NOT NULL`;
    const ofMembers = rows.flatMap((row) => {
      const place = { table: 'user_pds_mapping', userId: row.user_id, version: row.credential_version };
      const open = async (column: string, sealed: Parameters<typeof openSecret>[2]): Promise<Opened> => ({
        name: `${column} of ${row.user_id}`,
        bytes: await openSecret(vault, { ...place, column }, sealed),
      });
      const privateKey = {
        body: row.pds_private_key_encrypted,
        iv: row.pds_private_key_iv,
        tag: row.pds_private_key_auth_tag,
      };
      return [
        open('pds_private_key_encrypted', privateKey),
        ...SEALED_COLUMNS.filter((column) => row[column] !== null).map((column) =>
          open(column, splitSealed(row[column])),
        ),
      ];
    });
    const keys = await sql<
      { id: string; wrapped_key: Uint8Array }[]
    >`SELECT id, wrapped_key FROM pds_data_keys`;
    const ofKeys = keys.map(async ({ id, wrapped_key }): Promise<Opened> => {
      const context = { environment: vault.environment, dataKeyId: id };
      const bytes = await vault.wrapper.unwrap(wrapped_key, context);
      if (!bytes) throw new Error(`KMS does not open data key ${id}`);
      return { name: `data key ${id}`, bytes };
    });
    return await Promise.all([...ofMembers, ...ofKeys]);
  } finally {
    await sql.end();
  }
}

/** The forms in which bytes get into texts: themselves, hex, base64, and the numbers of a JSON list. */
export function spellings({ bytes }: Opened): string[] {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString();
  const isText = Buffer.from(text).equals(buffer);
  return [
    ...(isText ? [text, encodeURIComponent(text)] : []),
    buffer.toString('hex'),
    buffer.toString('base64').replace(/=+$/, ''),
    buffer.toString('base64url'),
    buffer.subarray(0, 16).join(','),
  ];
}
