import type { RandomBytes } from '../identity/keys.ts';
import { joinSealed, splitSealed } from '../vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../vault/secrets.ts';
import type { Vault } from '../vault/vault.ts';

/** The columns of `user_pds_mapping` that hold a whole sealed secret each. */
export type SealedColumn =
  | 'account_password_sealed'
  | 'bootstrap_key_sealed'
  | 'pds_access_token'
  | 'pds_refresh_token'
  | 'rotation_key_sealed';

type Owner = { user_id: string; credential_version: number };

/** Where a secret of the mapping row lives; part of what it is sealed with. */
export function mappingPlace(owner: Owner, column: SealedColumn | 'pds_private_key_encrypted'): SecretPlace {
  return { table: 'user_pds_mapping', column, userId: owner.user_id, version: owner.credential_version };
}

/** 256 bits; a PDS takes up to 256 characters. */
const PASSWORD_BYTES = 32;

/** The password of an account that is to be made. */
export function newAccountPassword(randomBytes: RandomBytes): string {
  return Buffer.from(randomBytes(PASSWORD_BYTES)).toString('base64url');
}

export async function sealForMapping(
  vault: Vault,
  dataKeyId: string,
  owner: Owner,
  column: SealedColumn,
  secret: Uint8Array | string,
): Promise<string> {
  return joinSealed(await sealSecret(vault, dataKeyId, mappingPlace(owner, column), secret));
}

export async function openFromMapping(
  vault: Vault,
  owner: Owner,
  column: SealedColumn,
  sealed: string,
): Promise<Uint8Array> {
  return openSecret(vault, mappingPlace(owner, column), splitSealed(sealed));
}
