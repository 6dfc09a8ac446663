import { describeServer, readHealth } from '../client.ts';
import type { PdsConnection } from '../xrpc.ts';
import { type Probed, probe } from './probe.ts';

/** Whether the PDS's process and its account database answer (`/xrpc/_health`). */
export function probeConnectivity(pds: PdsConnection): Promise<Probed> {
  return probe(
    async () => {
      const { version } = await readHealth(pds);
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
