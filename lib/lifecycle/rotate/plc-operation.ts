import type { Did } from '../../brands.ts';
import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { signOperation } from '../../identity/plc/operation.ts';
import { type PlcDirectory, submitOperation } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import type { Vault } from '../../vault/vault.ts';

type Signer = { user_id: string; credential_version: number; rotation_key_sealed: string | null };

/**
 * Signs with our rotation key of a did:plc what it is to come to after the last operation of this log, and hands it in.
 * False when the directory refuses it: then it had no effect now. Throws PlcError for any other answer, or none: the log
 * tells what became of it, and the same operation may be handed in again.
 */
export async function operate(
  vault: Vault,
  directory: PlcDirectory,
  { signer, log, data }: { signer: Signer; log: PlcLog; data: PlcData },
): Promise<boolean> {
  const rotationKey = await openFromMapping(
    vault,
    signer,
    'rotation_key_sealed',
    signer.rotation_key_sealed ?? '',
  );
  const operation = signOperation(data, log.head, rotationKey);
  rotationKey.fill(0);
  try {
    await submitOperation(directory, log.did as Did, operation);
    return true;
  } catch (error) {
    if (error instanceof PlcError && error.fault === 'refused') return false;
    throw error;
  }
}
