import { AppError } from '../../app-error.ts';
import { decodeMultikey, didKeyToMultikey } from '../../identity/multikey.ts';
import { checkAccountStatus } from '../../pds/client/accounts.ts';
import { deleteAccount } from '../../pds/client/admin.ts';
import { getRecommendedDidCredentials } from '../../pds/client/identity.ts';
import { describeServer } from '../../pds/client/server.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import { toHaveAdminRights } from '../../pds/provider.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { sessionOf, withAdmin } from '../account/adopt.ts';
import { quarantineEnd } from '../account/quarantine.ts';
import { updateIdentity } from '../identity.ts';
import { type AccountHost, serviceDidOf } from '../providers/provider-access.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import { Parked } from '../queue/outcome.ts';
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
  const atprotoKey = repoMultikey(repoKey);
  await expectItsOwnAddress(run, host, endpoint);
  await updateIdentity(run.sql, run.identity, {
    atproto_public_key: atprotoKey,
    pds_endpoint: endpoint,
    document_settles_at: new Date(run.now().getTime() + SETTLING_MS),
    provisioning_step: 'identity_published',
  });
}

/** Throws an XrpcError for what can be no repo's key: https://atproto.com/specs/cryptography, k256 and p256. */
export function repoMultikey(didKey: string): string {
  try {
    const multikey = didKeyToMultikey(didKey);
    if (decodeMultikey(multikey).algorithm !== 'ed25519') return multikey;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
  const nsid = 'com.atproto.identity.getRecommendedDidCredentials';
  throw new XrpcError({ nsid, fault: 'malformed', detail: 'its repo key is none that we can publish' });
}

/** Others may reach a PDS at another address than we do; but it is the same one that answers there. */
export async function expectItsOwnAddress(run: Run, host: AccountHost, named: string): Promise<void> {
  const endpoint = named.replace(/\/$/, '');
  if (endpoint === host.provider.endpoint) return;
  const serviceDid = await serviceDidOf(run, host);
  try {
    const { did } = await describeServer({ ...host.pds, endpoint, rateLimitBypassKey: undefined });
    if (did === serviceDid) return;
    run.log.warn('another server answers at the address that the PDS names', { endpoint, did });
  } catch (error) {
    if (!(error instanceof XrpcError) || error.fault === 'throttled') throw error;
    run.log.warn('nobody answers at the address that the PDS names', { endpoint, error });
  }
  throw new ProvisioningError(
    'PDS_ADDRESS_WRONG',
    'The identity server does not answer at the public address that it names. Operators must check its hostname setting.',
    { retryable: true },
  );
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
