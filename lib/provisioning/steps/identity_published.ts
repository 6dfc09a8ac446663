import { didKeyToMultikey } from '../../identity/multikey.ts';
import { deleteAccount } from '../../pds/admin.ts';
import { checkAccountStatus, getRecommendedDidCredentials, type PdsSession } from '../../pds/client.ts';
import { toHaveAdminRights } from '../../pds/provider.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { sessionOf, withAdmin } from '../adopt.ts';
import { updateIdentity } from '../identity.ts';
import { Parked } from '../outcome.ts';
import type { AccountHost } from '../provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { quarantineEnd } from '../quarantine.ts';
import { type Run, reserved } from '../run.ts';

/** As long as the edge may keep a document; until then the new one is served with no-store, too. */
export const SETTLING_MS = 60_000;

/**
 * account_created → identity_published: the DID document names the PDS's own repo key and its public URL, both as
 * the PDS says them, to the letter.
 */
export async function publishIdentity(run: Run, host: AccountHost): Promise<void> {
  const session = await sessionOf(run, host);
  const { repoKey, endpoint } = await recommendedCredentials(run, host, session);
  await updateIdentity(run.sql, run.identity, {
    atproto_public_key: didKeyToMultikey(repoKey),
    pds_endpoint: endpoint,
    document_settles_at: new Date(run.now().getTime() + SETTLING_MS),
    provisioning_step: 'identity_published',
  });
}

async function recommendedCredentials(run: Run, host: AccountHost, { accessJwt }: PdsSession) {
  try {
    return await getRecommendedDidCredentials(host.pds, accessJwt);
  } catch (error) {
    if (error instanceof XrpcError && error.final && (await repoIsGone(host, accessJwt))) {
      await beginAgain(run, host, error);
    }
    throw error;
  }
}

/** What two creations at once leave behind: an account in whose place there is no repo. */
async function repoIsGone({ pds }: AccountHost, accessJwt: string): Promise<boolean> {
  try {
    await checkAccountStatus(pds, accessJwt);
    return false;
  } catch (error) {
    return isRejection(error, 'NotFound');
  }
}

/** Deletes the account, which nothing was ever written to, and goes back to creating it. */
async function beginAgain(run: Run, host: AccountHost, cause: XrpcError): Promise<never> {
  const { sql, identity, now, log } = run;
  const end = quarantineEnd(run);
  if (end && now() < end) throw new Parked('outcome_unknown', end);
  const deleted = await withAdmin(run, host, (admin) => deleteAccount(admin, reserved(run).pds_did));
  if (!deleted.asAdmin) {
    throw new ProvisioningError(
      'ACCOUNT_WITHOUT_REPO',
      `The account has no repository. Only the operator of the identity server can delete it: ${toHaveAdminRights(host.provider)}.`,
      { cause },
    );
  }
  log.warn('account without a repo deleted');
  await updateIdentity(sql, identity, { provisioning_step: 'reserved', create_started_at: null });
  throw new ProvisioningError('ACCOUNT_WITHOUT_REPO', 'The account had no repository and is made anew.', {
    retryable: true,
    cause,
  });
}
