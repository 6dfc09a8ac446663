import type { PlcData } from '../../identity/plc/data.ts';
import { getRecommendedDidCredentials, updateHandle } from '../../pds/client/identity.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import { sessionOf } from '../account/adopt.ts';
import {
  handleRefusal,
  handlesRefused,
  isUnresolved,
  MOST_HANDLES,
  notReachable,
} from '../account/creation-rejected.ts';
import { updateIdentity } from '../identity.ts';
import { takeNextHandle } from '../next-handle.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { type Run, reserved } from '../run.ts';
import { SETTLING_MS } from '../steps/identity_published.ts';
import { ourRotationKey, readOwnLog } from './directory.ts';
import { publishMemberKey } from './member-key.ts';

/**
 * account_created → identity_published, of a did:plc: our handle stands for the DID since we know it, so the PDS gives it
 * to the account and signs that into the PLC log. Then the log names the handle, the PDS and its repo key, our rotation
 * key before those of the PDS, and, where the directory takes such, the member's own key.
 */
export async function publishPlcIdentity(run: Run, host: AccountHost): Promise<void> {
  const { accessJwt } = await sessionOf(run, host);
  const recommended = await getRecommendedDidCredentials(host.pds, accessJwt);
  const { data } = await readOwnLog(run);
  // Both, because the PDS writes the log first, and its own table after it.
  const named = [data.alsoKnownAs, recommended.alsoKnownAs].every((names) => names[0] === atHandle(run));
  if (!named) await giveHandle(run, host, accessJwt);
  const log = await readOwnLog(run);
  expectPublished(run, log.data, recommended);
  await publishMemberKey(run, log);
  await updateIdentity(run.sql, run.identity, {
    pds_endpoint: recommended.endpoint,
    document_settles_at: new Date(run.now().getTime() + SETTLING_MS),
    provisioning_step: 'identity_published',
  });
}

function atHandle(run: Run): string {
  return `at://${reserved(run).pds_handle}`;
}

/** Gives the account the member's handle, or the next one that the PDS takes. */
async function giveHandle(run: Run, { pds }: AccountHost, accessJwt: string): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      await updateHandle(pds, accessJwt, reserved(run).pds_handle);
      return;
    } catch (error) {
      if (!isRejection(error)) throw error;
      if (isUnresolved(error)) throw notReachable(error);
      const refusal = handleRefusal(error);
      if (!refusal || tried >= MOST_HANDLES) throw handlesRefused(error);
      await takeNextHandle(run, { generated: refusal === 'disliked' });
    }
  }
}

function expectPublished(
  run: Run,
  { rotationKeys, verificationMethods, alsoKnownAs, services }: PlcData,
  { repoKey, endpoint }: { repoKey: string; endpoint: string },
): void {
  const published =
    rotationKeys[0] === ourRotationKey(run) &&
    verificationMethods.atproto === repoKey &&
    alsoKnownAs[0] === atHandle(run) &&
    services.atproto_pds?.endpoint === endpoint;
  if (published) return;
  throw new ProvisioningError(
    'PLC_ENTRY_WRONG',
    'The PLC directory does not show your identity as the identity server wrote it. Try again; if it stays, operators must check PDS_PLC_URL.',
    { retryable: true },
  );
}
