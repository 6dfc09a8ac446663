import type { HealthCheck } from './health-checks.ts';
import { probeAccount } from './probes/account.ts';
import { type Outside, type PublicIdentity, probeDocument, probeHandle } from './probes/outside.ts';
import { type Probed, together } from './probes/probe.ts';
import { probeConnectivity, probeEndpoint } from './probes/provider.ts';
import type { PdsConnection } from './xrpc.ts';

/** An identity as far as probing it takes. */
export type ProbedIdentity = PublicIdentity & {
  /** Where we reach the PDS that DID documents know by `pds_endpoint`. */
  provider_endpoint: string;
};

export type ProbeDeps = {
  /** A PDS at this endpoint; its time-out bounds every probe. */
  pdsAt: (endpoint: string) => PdsConnection;
  outside: Outside;
};

/** What is known of one thing now; `unknown`: it was asked and did not say. */
export type Answer = 'passed' | 'failed' | 'unknown';
export type Answers = Record<'pds' | 'endpoint' | 'account' | 'did_document' | 'handle', Answer>;

export type Findings = {
  answers: Answers;
  checks: HealthCheck[];
  /** Whether all is well; undefined when only a PDS that is too busy (429) kept it from being said. */
  isWell: boolean | undefined;
};

/**
 * Probes an identity with no credentials of the member, all at once and each with an end of its own: whether its PDS
 * runs, whether it answers at its public address, whether it calls the account active, and whether the DID document and
 * the handle are right as the outside sees them. Failures are findings.
 */
export async function probeIdentity(
  { pdsAt, outside }: ProbeDeps,
  identity: ProbedIdentity,
): Promise<Findings> {
  const { pds_did, pds_endpoint, provider_endpoint } = identity;
  const [pds, endpoint, account, document, handle] = await Promise.all([
    probeConnectivity(pdsAt(provider_endpoint)),
    probeEndpoint(pdsAt(pds_endpoint)),
    probeAccount(pdsAt(provider_endpoint), pds_did),
    probeDocument(outside, identity),
    probeHandle(outside, identity),
  ]);
  const open = [pds, endpoint, account, document, handle].filter(({ status }) => status !== 'success');
  return {
    isWell: open.length > 0 && open.every(isThrottled) ? undefined : open.length === 0,
    answers: {
      pds: answerOf(pds),
      endpoint: answerOf(endpoint),
      account: answerOf(account),
      did_document: answerOf(document),
      handle: answerOf(handle),
    },
    checks: [
      checkOf('connectivity', provider_endpoint, pds),
      checkOf('endpoint_reachable', pds_endpoint, endpoint),
      checkOf('at_protocol', provider_endpoint, together([account, document, handle])),
    ],
  };
}

function answerOf(probed: Probed): Answer {
  if (probed.status === 'success') return 'passed';
  return probed.status === 'timeout' || isThrottled(probed) ? 'unknown' : 'failed';
}

function isThrottled({ error }: Probed): boolean {
  return error?.fault === 'throttled';
}

/** What a probe has found, in the form in which it is kept. */
export function checkOf(checkType: HealthCheck['checkType'], endpoint: string, probed: Probed): HealthCheck {
  const { status, responseTimeMs, details, errorMessage } = probed;
  return { checkType, endpoint, status, responseTimeMs, details, errorMessage };
}
