import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { signOperation } from '../../identity/plc/operation.ts';
import { submitOperation } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { type Run, reserved } from '../run.ts';
import { openFromMapping } from '../secrets.ts';
import { FIRST_MEMBER_KEY } from '../steps/reserved.ts';
import { askDirectory } from './directory.ts';

/**
 * Adds the member's own Ed25519 key to the document of his did:plc, by an operation that our rotation key signs. A
 * directory that takes no such keys refuses it, and the identity goes without: nothing else hangs on it.
 *
 * @NOTE plc.directory takes verification methods of any kind since June 2025 (https://web.plc.directory/spec, Changelog);
 * `@did-plc/server` 0.0.1, the newest on npm, takes k256 and p256 only.
 */
export async function publishMemberKey(run: Run, log: PlcLog & { data: PlcData }): Promise<void> {
  const { vault, identity } = run;
  const { pds_did, pds_public_key } = reserved(run);
  const { verificationMethods } = log.data;
  const memberKey = `did:key:${pds_public_key}`;
  if (verificationMethods[FIRST_MEMBER_KEY] === memberKey) return;
  const data = {
    ...log.data,
    verificationMethods: { ...verificationMethods, [FIRST_MEMBER_KEY]: memberKey },
  };
  const sealed = identity.rotation_key_sealed ?? '';
  const rotationKey = await openFromMapping(vault, identity, 'rotation_key_sealed', sealed);
  const operation = signOperation(data, log.head, rotationKey);
  rotationKey.fill(0);
  await askDirectory(run, async (directory) => {
    try {
      await submitOperation(directory, pds_did, operation);
    } catch (error) {
      if (!(error instanceof PlcError) || error.fault !== 'refused') throw error;
      run.log.info('the PLC directory does not take the key of the member', { error });
    }
  });
}
