import { joinSealed, splitSealed } from '../../vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Change } from './change.ts';

type Owner = Pick<Change, 'id' | 'user_id'>;

/** A secret that a change has made belongs to this change and this name, and opens nowhere else. */
function placeOf({ id, user_id }: Owner, name: string): SecretPlace {
  return { table: 'pds_changes', column: `sealed.${name}`, userId: user_id, version: id };
}

/** Seals a secret that a change makes, to be stored with `advance` before anything remote happens. */
export async function sealForChange(
  vault: Vault,
  dataKeyId: string,
  change: Owner,
  name: string,
  secret: Uint8Array | string,
): Promise<string> {
  return joinSealed(await sealSecret(vault, dataKeyId, placeOf(change, name), secret));
}

/** Opens it again. Throws what `openSecret` throws; a name that the change has not is SEALED_VALUE_INVALID. */
export async function openFromChange(
  vault: Vault,
  change: Pick<Change, 'id' | 'user_id' | 'sealed'>,
  name: string,
): Promise<Uint8Array> {
  return openSecret(vault, placeOf(change, name), splitSealed(change.sealed[name] ?? ''));
}
