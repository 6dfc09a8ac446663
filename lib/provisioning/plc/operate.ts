import type { Did } from '../../brands.ts';
import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { type PlcOperation, signOperation } from '../../identity/plc/operation.ts';
import { type PlcDirectory, submitOperation } from '../../pds/plc/directory.ts';
import type { PlcError } from '../../pds/plc/plc-error.ts';
import type { Vault } from '../../vault/vault.ts';
import { openFromMapping } from '../secrets.ts';

/** Whose rotation key of ours it is, as his mapping row has it. */
type Signer = { user_id: string; credential_version: number; rotation_key_sealed: string | null };
/** What the did:plc of this log is to come to after its last operation. */
type Wanted = { signer: Signer; log: PlcLog; data: PlcData };

/** Signs with our rotation key, which is open no longer than that. Throws what `openSecret` throws. */
export async function signWithOurKey(vault: Vault, { signer, log, data }: Wanted): Promise<PlcOperation> {
  const sealed = signer.rotation_key_sealed ?? '';
  const key = await openFromMapping(vault, signer, 'rotation_key_sealed', sealed);
  try {
    return signOperation(data, log.head, key);
  } finally {
    key.fill(0);
  }
}

/**
 * Signs with our rotation key and hands it in. Returns the refusal of a directory that takes it not; throws PlcError for
 * any other answer, or none. The log tells what became of it, and the same operation may be handed in again.
 */
export async function operate(
  vault: Vault,
  directory: PlcDirectory,
  wanted: Wanted,
): Promise<PlcError | undefined> {
  return submitOperation(directory, wanted.log.did as Did, await signWithOurKey(vault, wanted));
}
