import type { Did, Handle } from '../brands.ts';
import type { Queryable } from '../db/connect.ts';
import { didHost, isDidWeb } from '../identity/did.ts';
import { findIdentityByHost } from '../identity/hostnames.ts';
import { describeServer, getRepoStatus, readHealth } from './client.ts';
import type { HealthCheck } from './health-checks.ts';
import type { PdsConnection } from './xrpc.ts';
import { XrpcError } from './xrpc-error.ts';

/** An identity as far as probing it takes. */
export type ProbedIdentity = {
  pds_did: Did;
  pds_handle: Handle;
  /** The PDS's public URL, as the DID document names it. */
  pds_endpoint: string;
  /** Where we reach the same PDS. */
  provider_endpoint: string;
};

export type ProbeDeps = {
  sql: Queryable;
  /** A PDS at this endpoint; its time-out bounds every probe. */
  pdsAt: (endpoint: string) => PdsConnection;
};

type Finding = { passed: boolean; details: HealthCheck['details'] };

/**
 * Probes an identity with no credentials of the member, all at once: whether its PDS runs, whether it answers at its
 * public address, and whether it calls the account active while what we serve at the member's names is this identity
 * (read from our tables, not over DNS and TLS). Failures are findings; it throws only if our own database fails.
 */
export function probeIdentity({ sql, pdsAt }: ProbeDeps, identity: ProbedIdentity): Promise<HealthCheck[]> {
  const { pds_did: did, pds_endpoint: endpoint, provider_endpoint: providerEndpoint } = identity;
  return Promise.all([
    probe('connectivity', providerEndpoint, async () => {
      const { version } = await readHealth(pdsAt(providerEndpoint));
      return { passed: true, details: { version: version ?? null } };
    }),
    probe('endpoint_reachable', endpoint, async () => {
      const server = await describeServer(pdsAt(endpoint));
      return { passed: true, details: { service_did: server.did } };
    }),
    probe('at_protocol', providerEndpoint, async () => {
      const [{ active, status }, served] = await Promise.all([
        getRepoStatus(pdsAt(providerEndpoint), did),
        isServed(sql, identity),
      ]);
      return { passed: active && served, details: { did, active, ...(status && { status }), served } };
    }),
  ]);
}

/** Whether our own answers at the member's two names point at each other and at the PDS. */
async function isServed(
  sql: Queryable,
  { pds_did, pds_handle, pds_endpoint }: ProbedIdentity,
): Promise<boolean> {
  const [document, handle] = await Promise.all([
    isDidWeb(pds_did) ? findIdentityByHost(sql, didHost(pds_did)) : undefined,
    findIdentityByHost(sql, pds_handle),
  ]);
  const named = document?.handle === pds_handle && document.serviceEndpoint === pds_endpoint;
  return (named || !isDidWeb(pds_did)) && handle?.kind === 'handle' && handle.did === pds_did;
}

async function probe(
  checkType: HealthCheck['checkType'],
  endpoint: string,
  ask: () => Promise<Finding>,
): Promise<HealthCheck> {
  const begun = performance.now();
  const found = await ask().then(
    ({ passed, details }) =>
      ({ status: passed ? 'success' : 'failed', details, errorMessage: null }) as const,
    (error) => {
      if (!(error instanceof XrpcError)) throw error;
      const status = error.fault === 'timeout' ? 'timeout' : 'failed';
      return { status, details: { fault: error.fault }, errorMessage: error.message } as const;
    },
  );
  return { checkType, endpoint, responseTimeMs: Math.round(performance.now() - begun), ...found };
}
