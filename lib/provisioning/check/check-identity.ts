import { updateAccountPassword } from '../../pds/client/admin.ts';
import type { PdsSession } from '../../pds/client/sessions.ts';
import type { HealthCheck } from '../../pds/health-checks.ts';
import type { HealthProblem } from '../../pds/health-problems.ts';
import { checkOf } from '../../pds/probe-identity.ts';
import { probeAccount, probeValidDid } from '../../pds/probes/account.ts';
import { probeDocument, probeHandle } from '../../pds/probes/outside.ts';
import { meaningOf, type Probed, probe, together } from '../../pds/probes/probe.ts';
import { probeEndpoint } from '../../pds/probes/provider.ts';
import { openSession, renewSession } from '../../pds/probes/session.ts';
import { isRejection, type XrpcError } from '../../pds/xrpc-error.ts';
import { accountPassword, withAdmin } from '../account/adopt.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { type Run, reserved } from '../run.ts';
import { openFromMapping } from '../secrets.ts';

/** What a whole check of an identity has found. */
export type Checked = {
  checks: readonly HealthCheck[];
  /** What stands in the way; undefined when nothing does, or when it is not known. */
  problem: HealthProblem | undefined;
  /** The session that proved that our credentials open the account. */
  session: PdsSession | undefined;
  /** The account had another password than the stored one, and has that again. */
  passwordReset: boolean;
  /** The request in which not the account but the PDS failed, or was too busy to answer. */
  trouble: XrpcError | undefined;
};

/**
 * Asks everything that can be asked about one identity: whether its PDS answers at its public address, whether it calls
 * the account active, whether our credentials open it, and whether the DID document and the handle are right, as the
 * outside sees them and as the PDS does.
 */
export async function checkIdentity(run: Run, host: AccountHost): Promise<Checked> {
  const { outside, identity } = run;
  const { pds_did, pds_handle, atproto_public_key } = reserved(run);
  const endpoint = identity.pds_endpoint ?? host.pds.endpoint;
  const named = { pds_did, pds_handle, atproto_public_key, pds_endpoint: endpoint };
  const [reachable, account, document, handle, signedIn] = await Promise.all([
    probeEndpoint({ ...host.pds, endpoint, rateLimitBypassKey: undefined }),
    probeAccount(host.pds, pds_did),
    probeDocument(outside, named),
    probeHandle(outside, named),
    signInAgain(run, host),
  ]);
  const credentials = await mendPassword(run, host, { account, signedIn });
  // Where nobody answers for the document, the PDS waits for it, too, and would count as down itself.
  const isAnsweredFor = document.status !== 'timeout' && document.problem !== 'PLC_DOWN';
  const validDid =
    isAnsweredFor && credentials.session
      ? [await probeValidDid(host.pds, credentials.session.accessJwt)]
      : [];
  const protocol = together([account, document, handle, ...validDid]);
  const asked = [account, credentials.probed, ...validDid].map(({ error }) => error);
  return {
    checks: [
      checkOf('endpoint_reachable', endpoint, reachable),
      checkOf('credentials', host.pds.endpoint, credentials.probed),
      checkOf('at_protocol', host.pds.endpoint, protocol),
    ],
    problem:
      account.problem ??
      credentials.probed.problem ??
      document.problem ??
      protocol.problem ??
      reachable.problem,
    // What the PDS itself takes for no session of its own is not kept.
    session: validDid.some(isRefused) ? undefined : credentials.session,
    passwordReset: credentials.passwordReset,
    trouble:
      [reachable.error, ...asked].find((error) => error?.fault === 'throttled') ??
      asked.find((error) => error?.providerDown),
  };
}

type SignedIn = { probed: Probed; session?: PdsSession | undefined };

/** By the refresh token; when that is used up or revoked, by the stored password. */
async function signInAgain(run: Run, host: AccountHost): Promise<SignedIn> {
  const { vault, identity } = run;
  const { pds_did: did } = reserved(run);
  let session: PdsSession | undefined;
  const probed = await probe(async () => {
    try {
      const token = await openFromMapping(
        vault,
        identity,
        'pds_refresh_token',
        identity.pds_refresh_token ?? '',
      );
      session = await renewSession(host.pds, { did, refreshJwt: Buffer.from(token).toString('utf8') });
    } catch (error) {
      if (!isRejection(error)) throw error;
      session = await openSession(host.pds, { did, password: await accountPassword(run) });
    }
    return { passed: true, details: {} };
  }, meaningOf('CREDENTIALS_REFUSED'));
  return { probed, session };
}

/**
 * Where we may, makes the stored password the account's again when somebody else has changed it: whoever did so without
 * the member is out, and the member finds the stored one where he found it before. It may also have been a rotation that
 * broke off: that sets its own again.
 */
async function mendPassword(
  run: Run,
  host: AccountHost,
  { account, signedIn }: { account: Probed; signedIn: SignedIn },
): Promise<SignedIn & { passwordReset: boolean }> {
  const asIs = { ...signedIn, passwordReset: false };
  const { error } = signedIn.probed;
  if (account.status !== 'success' || !isRejection(error, 'AuthenticationRequired')) return asIs;
  const { pds_did: did } = reserved(run);
  const password = await accountPassword(run);
  let passwordReset = false;
  let session: PdsSession | undefined;
  const probed = await probe(async () => {
    const reset = await withAdmin(run, host, (admin) => updateAccountPassword(admin, { did, password }));
    if (!reset.asAdmin) throw error;
    passwordReset = true;
    session = await openSession(host.pds, { did, password });
    return { passed: true, details: { password_reset: true } };
  }, meaningOf('CREDENTIALS_REFUSED'));
  return { probed, session, passwordReset };
}

function isRefused({ error }: Probed): boolean {
  return isRejection(error) && error.status === 401;
}
