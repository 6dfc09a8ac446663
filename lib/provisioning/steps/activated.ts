import { activateAccount, checkAccountStatus } from '../../pds/client.ts';
import { sessionOf } from '../adopt.ts';
import { updateIdentity } from '../identity.ts';
import type { AccountHost } from '../provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import type { Run } from '../run.ts';

/**
 * identity_published → activated: the PDS reads our DID document from outside, finds its own key and URL in it and
 * activates the account. That the handle resolves it has seen when it created the account.
 */
export async function activate(run: Run, host: AccountHost): Promise<void> {
  const { accessJwt } = await sessionOf(run, host);
  const { activated, validDid } = await checkAccountStatus(host.pds, accessJwt);
  if (!validDid) {
    throw new ProvisioningError(
      'DID_DOCUMENT_NOT_SEEN',
      'The identity server does not see the new DID document yet. If it stays, operators must check DNS, TLS and caches of PDS_DOMAIN.',
      { retryable: true },
    );
  }
  if (!activated) await activateAccount(host.pds, accessJwt);
  await updateIdentity(run.sql, run.identity, { provisioning_step: 'activated' });
}
