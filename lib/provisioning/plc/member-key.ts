import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { type Run, reserved } from '../run.ts';
import { FIRST_MEMBER_KEY } from '../steps/reserved.ts';
import { askDirectory } from './directory.ts';
import { operate } from './operate.ts';

/**
 * Adds the member's own Ed25519 key to the document of his did:plc, by an operation that our rotation key signs. A
 * directory that takes no such keys refuses it, and the identity goes without: nothing else hangs on it.
 *
 * @NOTE plc.directory takes verification methods of any kind since June 2025 (https://web.plc.directory/spec, Changelog);
 * `@did-plc/server` 0.0.1, the newest on npm, takes k256 and p256 only.
 */
export async function publishMemberKey(run: Run, log: PlcLog & { data: PlcData }): Promise<void> {
  const { vault, identity } = run;
  const { pds_public_key } = reserved(run);
  const { verificationMethods } = log.data;
  const memberKey = `did:key:${pds_public_key}`;
  if (verificationMethods[FIRST_MEMBER_KEY] === memberKey) return;
  const data = {
    ...log.data,
    verificationMethods: { ...verificationMethods, [FIRST_MEMBER_KEY]: memberKey },
  };
  const refusal = await askDirectory(run, (directory) =>
    operate(vault, directory, { signer: identity, log, data }),
  );
  if (refusal) run.log.info('the PLC directory does not take the key of the member', { error: refusal });
}
