import { activateAccount, checkAccountStatus } from '../../pds/client/accounts.ts';
import { isRejection, type XrpcError } from '../../pds/xrpc-error.ts';
import { sessionOf } from '../account/adopt.ts';
import { updateIdentity } from '../identity.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import type { Run } from '../run.ts';

/**
 * identity_published → activated: the PDS reads our DID document from outside, finds its own key and URL in it and
 * activates the account; what it says about that afterwards is what counts. That the handle resolves it has seen when it
 * created the account.
 */
export async function activate(run: Run, host: AccountHost): Promise<void> {
  await askToActivate(run, host, {
    // Not only the way to the document may be at fault, but what we were told to write into it: the PDS is asked anew.
    unseen: () => updateIdentity(run.sql, run.identity, { provisioning_step: 'account_created' }),
  });
  await updateIdentity(run.sql, run.identity, { provisioning_step: 'activated' });
}

/**
 * Has the PDS activate the account, as often as one likes. Throws retryable ACCOUNT_NOT_ACTIVATED, and
 * DID_DOCUMENT_NOT_SEEN after `unseen`.
 */
export async function askToActivate(
  run: Run,
  host: AccountHost,
  { unseen }: { unseen?: () => Promise<void> } = {},
): Promise<void> {
  const { accessJwt } = await sessionOf(run, host);
  let refused: XrpcError | undefined;
  try {
    await activateAccount(host.pds, accessJwt);
  } catch (error) {
    if (!isRejection(error)) throw error;
    refused = error;
  }
  const { activated, validDid } = await checkAccountStatus(host.pds, accessJwt);
  if (!validDid) {
    await unseen?.();
    throw new ProvisioningError(
      'DID_DOCUMENT_NOT_SEEN',
      'The identity server does not see the new DID document yet. If it stays, operators must check DNS, TLS and caches of PDS_DOMAIN.',
      { retryable: true, cause: refused },
    );
  }
  if (!activated) {
    throw new ProvisioningError(
      'ACCOUNT_NOT_ACTIVATED',
      'The identity server does not activate the account. Try again; if it stays, operators must look at its log.',
      { retryable: true, cause: refused },
    );
  }
}
