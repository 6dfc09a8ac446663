import { getRepoStatus } from '../../pds/client/accounts.ts';
import { HEALTH_PROBLEMS } from '../../pds/health-problems.ts';
import { isRejection } from '../../pds/xrpc-error.ts';
import type { AccountHost } from '../../provisioning/providers/provider-access.ts';
import { ProvisioningError } from '../../provisioning/provisioning-error.ts';
import { type Run, reserved } from '../../provisioning/run.ts';

/** How the PDS calls the member's account. Throws the final ACCOUNT_MISSING when it has none (any more). */
export async function expectAccount(
  run: Run,
  { pds }: AccountHost,
): Promise<{ active: boolean; status?: string | undefined }> {
  try {
    return await getRepoStatus(pds, reserved(run).pds_did);
  } catch (cause) {
    if (!isRejection(cause, 'RepoNotFound')) throw cause;
    throw new ProvisioningError('ACCOUNT_MISSING', HEALTH_PROBLEMS.ACCOUNT_MISSING, { cause });
  }
}
