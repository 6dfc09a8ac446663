import { describeServer, readHealth } from '../client/server.ts';
import type { PdsConnection } from '../xrpc.ts';
import { isNotOffered } from '../xrpc-error.ts';
import { type Probed, probe } from './probe.ts';

/**
 * Whether the PDS's process and its account database answer (`/xrpc/_health`). No lexicon asks for that, so a PDS that
 * does not offer it, and says so, runs: whether it serves anybody, the other probes find out.
 */
export function probeConnectivity(pds: PdsConnection): Promise<Probed> {
  return probe(
    async () => {
      const { version } = await readHealth(pds).catch((error) => {
        if (isNotOffered(error)) return { version: undefined };
        throw error;
      });
      return { passed: true, details: { version: version ?? null } };
    },
    () => 'PROVIDER_DOWN',
  );
}

/** Whether a PDS answers at its public URL, the one that DID documents name. */
export function probeEndpoint(pds: PdsConnection): Promise<Probed> {
  return probe(
    async () => {
      const { did } = await describeServer(pds);
      return { passed: true, details: { service_did: did } };
    },
    () => 'ENDPOINT_UNREACHABLE',
  );
}
