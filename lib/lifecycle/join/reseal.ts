import { AppError } from '../../app-error.ts';
import type { Queryable } from '../../db/connect.ts';
import { openOrphanPassword, sealOrphanPassword } from '../../provisioning/orphans/password.ts';
import {
  mappingPlace,
  openFromMapping,
  type SealedColumn,
  sealForMapping,
} from '../../provisioning/secrets.ts';
import type { Sealed } from '../../vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import { backupPlace } from '../custody/backup.ts';

type Mapping = {
  id: number;
  user_id: string;
  data_key_id: string | null;
  credential_version: number;
  pds_private_key_encrypted: string | null;
  pds_private_key_iv: string | null;
  pds_private_key_auth_tag: string | null;
} & { [column in SealedColumn]: string | null };
type Backup = {
  id: number;
  user_id: string;
  data_key_id: string;
  backup_data_encrypted: string;
  backup_iv: string;
  backup_auth_tag: string;
};
type Orphan = { id: number; user_id: string; data_key_id: string; account_password_sealed: string };

/** Everything of some members that is sealed for them. What belongs to their Telegram accounts, the second factor, is not here. */
export type SealedOf = { mappings: Mapping[]; backups: Backup[]; orphans: Orphan[] };

const COLUMNS = [
  'account_password_sealed',
  'bootstrap_key_sealed',
  'pds_access_token',
  'pds_refresh_token',
  'rotation_key_sealed',
] as const satisfies readonly SealedColumn[];

/** Reads it as it is. Two reads that are equal have the same in between. */
export async function readSealed(sql: Queryable, members: readonly string[]): Promise<SealedOf> {
  return {
    mappings: await sql<Mapping[]>`
      SELECT id, user_id, data_key_id, credential_version, pds_private_key_encrypted, pds_private_key_iv,
        pds_private_key_auth_tag, ${sql(COLUMNS)}
      FROM user_pds_mapping WHERE user_id IN ${sql(members)} ORDER BY id`,
    backups: await sql<Backup[]>`
      SELECT id, user_id, data_key_id, backup_data_encrypted, backup_iv, backup_auth_tag
      FROM pds_credential_backups WHERE user_id IN ${sql(members)} ORDER BY id`,
    orphans: await sql<Orphan[]>`
      SELECT id, user_id, data_key_id, account_password_sealed
      FROM pds_possible_orphans WHERE user_id IN ${sql(members)} ORDER BY id`,
  };
}

/**
 * Opens it and seals it anew for its next owners, under the same data keys; those of the mapping rows for the next version
 * of their credentials. Before the transaction: it may have to ask KMS. What does not open is kept as it is, unreadable
 * where it is and where it comes to: it is no reason to keep an identity from its member. Throws what `openSecret` throws of
 * the data keys.
 */
export async function resealFor(
  vault: Vault,
  { mappings, backups, orphans }: SealedOf,
  nextOwner: (userId: string) => string,
): Promise<SealedOf> {
  return {
    mappings: await Promise.all(mappings.map((row) => resealMapping(vault, row, nextOwner(row.user_id)))),
    backups: await Promise.all(
      backups.map(async (row): Promise<Backup> => {
        const sealed = { body: row.backup_data_encrypted, iv: row.backup_iv, tag: row.backup_auth_tag };
        const next = backupPlace(nextOwner(row.user_id), row.id);
        const { body, iv, tag } = await move(
          vault,
          row.data_key_id,
          backupPlace(row.user_id, row.id),
          next,
          sealed,
        );
        return { ...row, backup_data_encrypted: body, backup_iv: iv, backup_auth_tag: tag };
      }),
    ),
    orphans: await Promise.all(
      orphans.map(async (row): Promise<Orphan> => {
        const next = { ...row, user_id: nextOwner(row.user_id) };
        const moved = await keptUnlessOpened(async () =>
          sealOrphanPassword(vault, row.data_key_id, next, await openOrphanPassword(vault, row)),
        );
        return { ...row, account_password_sealed: moved ?? row.account_password_sealed };
      }),
    ),
  };
}

async function resealMapping(vault: Vault, row: Mapping, nextOwner: string): Promise<Mapping> {
  const { data_key_id: dataKeyId } = row;
  // Nothing is sealed before its data key is chosen.
  if (dataKeyId === null) return row;
  const next = { user_id: nextOwner, credential_version: row.credential_version + 1 };
  const columns = await Promise.all(
    COLUMNS.map(async (column) => {
      const sealed = row[column];
      if (sealed === null) return [column, null];
      const moved = await keptUnlessOpened(async () => {
        const secret = await openFromMapping(vault, row, column, sealed);
        return sealForMapping(vault, dataKeyId, next, column, secret).finally(() => secret.fill(0));
      });
      return [column, moved ?? sealed];
    }),
  );
  const { pds_private_key_encrypted: body, pds_private_key_iv: iv, pds_private_key_auth_tag: tag } = row;
  const [from, to] = [row, next].map((owner) => mappingPlace(owner, 'pds_private_key_encrypted'));
  const hasKey = body !== null && iv !== null && tag !== null && from && to;
  const key = hasKey && (await move(vault, dataKeyId, from, to, { body, iv, tag }));
  return {
    ...row,
    ...Object.fromEntries(columns),
    ...(key && {
      pds_private_key_encrypted: key.body,
      pds_private_key_iv: key.iv,
      pds_private_key_auth_tag: key.tag,
    }),
  };
}

async function move(
  vault: Vault,
  dataKeyId: string,
  from: SecretPlace,
  to: SecretPlace,
  sealed: Sealed,
): Promise<Sealed> {
  const moved = await keptUnlessOpened(async () => {
    const secret = await openSecret(vault, from, sealed);
    return sealSecret(vault, dataKeyId, to, secret).finally(() => secret.fill(0));
  });
  return moved ?? sealed;
}

async function keptUnlessOpened<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof AppError && /^SEALED_VALUE_/.test(error.code)) return undefined;
    throw error;
  }
}
