import { joinSealed, splitSealed } from '../../vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';

type Row = { id: number; user_id: string };

/** The version is the row's own id: no password can be put in the place of another provider's. */
function place({ id, user_id }: Row): SecretPlace {
  return { table: 'pds_possible_orphans', column: 'account_password_sealed', userId: user_id, version: id };
}

/** Seals the password of an account that may have been left behind. */
export async function sealOrphanPassword(
  vault: Vault,
  dataKeyId: string,
  row: Row,
  password: string,
): Promise<string> {
  return joinSealed(await sealSecret(vault, dataKeyId, place(row), password));
}

export async function openOrphanPassword(
  vault: Vault,
  row: Row & { account_password_sealed: string },
): Promise<string> {
  const opened = await openSecret(vault, place(row), splitSealed(row.account_password_sealed));
  return Buffer.from(opened).toString('utf8');
}
