import type { Queryable } from '../../db/connect.ts';
import { connectionTo, type Provider } from '../../pds/provider.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';

/** A provider where members live, whether the settings still name it or not. */
export type Home = {
  id: string;
  /** Where we reach it. */
  endpoint: string;
  /** Its public URL, as the DID documents of most members name it. */
  public_endpoint: string;
  members: number;
};

/** Where members live, each with their number. */
export async function readHomes(sql: Queryable): Promise<Home[]> {
  return sql<Home[]>`
    SELECT p.id, p.endpoint, m.members, m.public_endpoint
    FROM pds_providers p JOIN (
      SELECT DISTINCT ON (provider_id) provider_id, sum(members) OVER (PARTITION BY provider_id)::int AS members,
        pds_endpoint AS public_endpoint
      FROM (
        SELECT provider_id, pds_endpoint, count(*) AS members FROM user_pds_mapping WHERE status = 'active' GROUP BY 1, 2
      ) named ORDER BY provider_id, named.members DESC, pds_endpoint
    ) m ON m.provider_id = p.id ORDER BY p.id`;
}

export type ConnectDeps = {
  fetch: typeof globalThis.fetch;
  now: () => Date;
  providers: readonly Provider[];
};

/** For one request of a sweep: nobody waits for it, but it holds a worker up. */
const TIMEOUT_MS = 10_000;

/** How a sweep talks to a provider: with what the settings say, where they name it. */
export function connectionOf(
  deps: ConnectDeps,
  { id, endpoint }: Pick<Home, 'id' | 'endpoint'>,
): PdsConnection {
  const named = deps.providers.find((provider) => provider.id === id && provider.endpoint === endpoint);
  return connectionTo(deps, named ?? { id, endpoint, weight: 1 }, TIMEOUT_MS);
}
