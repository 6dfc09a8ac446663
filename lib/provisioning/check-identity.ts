import {
  checkAccountStatus,
  createSession,
  getRepoStatus,
  type PdsSession,
  refreshSession,
} from '../pds/client.ts';
import { isRejection, XrpcError } from '../pds/xrpc-error.ts';
import { accountPassword } from './adopt.ts';
import type { AccountHost } from './provider-access.ts';
import { type Run, reserved } from './run.ts';
import { openFromMapping } from './secrets.ts';

/** One probe and what it found, as `pds_health_checks` keeps it. */
export type HealthCheck = {
  check_type: 'endpoint_reachable' | 'credentials' | 'at_protocol';
  status: 'success' | 'failed' | 'timeout';
  response_time_ms: number;
  details: Record<string, string | boolean>;
  error_message: string | null;
};

/**
 * Asks the PDS three questions: whether it shows the account as active, whether our credentials open it, and whether
 * the DID document that it reads from outside names it and its key. Also returns the session that proved the second,
 * and the error if it was not the account but the PDS that failed or was too busy to answer.
 */
export async function checkIdentity(
  run: Run,
  { pds }: AccountHost,
): Promise<{
  checks: readonly HealthCheck[];
  session?: PdsSession | undefined;
  trouble?: XrpcError | undefined;
}> {
  const { pds_did } = reserved(run);
  let session: PdsSession | undefined;
  let trouble: XrpcError | undefined;
  const probe = (type: HealthCheck['check_type'], ask: Ask) =>
    timed(type, ask, (error) => {
      if (error.providerDown || error.fault === 'throttled') trouble = error;
    });
  const [reachable, credentials] = await Promise.all([
    probe('endpoint_reachable', async () => {
      const { active, status } = await getRepoStatus(pds, pds_did);
      return { passed: active, details: { active, ...(status && { status }) } };
    }),
    probe('credentials', async () => {
      session = await renewSession(run, { pds });
      return { passed: true, details: {} };
    }),
  ]);
  const accessJwt = session?.accessJwt;
  if (accessJwt === undefined) return { checks: [reachable, credentials], trouble };
  const protocol = await probe('at_protocol', async () => {
    const { activated, validDid } = await checkAccountStatus(pds, accessJwt);
    return { passed: activated && validDid, details: { activated, valid_did: validDid, did: pds_did } };
  });
  return { checks: [reachable, credentials, protocol], session, trouble };
}

/** By the refresh token; when that is used up or revoked, by the stored password. */
async function renewSession(run: Run, { pds }: Pick<AccountHost, 'pds'>): Promise<PdsSession> {
  const { vault, identity } = run;
  try {
    const sealed = identity.pds_refresh_token ?? '';
    const token = await openFromMapping(vault, identity, 'pds_refresh_token', sealed);
    return await refreshSession(pds, Buffer.from(token).toString('utf8'));
  } catch (error) {
    if (!isRejection(error)) throw error;
    return createSession(pds, { did: reserved(run).pds_did, password: await accountPassword(run) });
  }
}

type Ask = () => Promise<{ passed: boolean; details: HealthCheck['details'] }>;

async function timed(
  check_type: HealthCheck['check_type'],
  ask: Ask,
  onError: (error: XrpcError) => void,
): Promise<HealthCheck> {
  const begun = performance.now();
  const took = () => Math.round(performance.now() - begun);
  try {
    const { passed, details } = await ask();
    const status = passed ? 'success' : 'failed';
    return { check_type, status, response_time_ms: took(), details, error_message: null };
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    onError(error);
    return {
      check_type,
      status: error.fault === 'timeout' ? 'timeout' : 'failed',
      response_time_ms: took(),
      details: { fault: error.fault, nsid: error.nsid, ...(error.error && { error: error.error }) },
      error_message: error.message,
    };
  }
}
